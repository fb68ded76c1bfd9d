"""The protocols by name: how queries, database and training images are drawn from each data set."""

import difflib
from collections.abc import Callable
from functools import partial

import torch

from retrieval_lib.data.drawing import ClassDraw
from retrieval_lib.data.images import ImageSet
from retrieval_lib.data.splits import Search, Split, finish_split
from retrieval_lib.profiles import PROFILES

NONE = torch.empty(0, dtype=torch.int64)


def make_split(images: ImageSet, protocol: str, seed: int = 0, **settings) -> Split:
    """Draw a protocol for a data set.

    Args:
        images: the data set that the protocol is for.
        protocol: one of `PROTOCOLS`.
        seed: of the draw.
        settings: what the protocol leaves open; the semi-supervised ones take `labels`, the number of labelled images.

    Raises:
        ValueError: there is no such protocol, or it is for another data set or leaves nothing open of this name, or
            there are too few images.
    """
    if protocol not in PROTOCOLS:
        near = difflib.get_close_matches(protocol, PROTOCOLS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"There is no protocol {protocol!r}; known are {', '.join(PROTOCOLS)}.{hint}")
    dataset = protocol.split("-")[0]
    if dataset not in (images.name, "folder"):
        raise ValueError(f"The protocol {protocol} is for {dataset}, but these images are {images.name}.")
    open_settings = ("labels",) if _draws_labels(protocol) else ()
    if unknown := sorted(set(settings) - set(open_settings)):
        raise ValueError(
            f"The protocol {protocol} leaves no {', '.join(unknown)} open; it takes {', '.join(open_settings) or 'nothing'}."
        )
    generator = torch.Generator().manual_seed(seed)
    name = protocol + "".join(f" {key}={value}" for key, value in sorted(settings.items()))
    train, unlabelled, searches = PROTOCOLS[protocol](images, generator, **settings)
    return finish_split(images, name, seed, train, unlabelled, searches)


def _draws_labels(protocol: str) -> bool:
    return getattr(PROTOCOLS[protocol], "func", None) is _semi_supervised


def protocol_for(images: ImageSet, task: str, profile: str) -> str:
    """The protocol that a chapter uses.

    Args:
        images: the data set.
        task: `supervised`, `semi-supervised`, `faces` or `unseen faces`.
        profile: `quick`, `book` or `full`.

    Raises:
        ValueError: there is no such profile, or the data set has no protocol for this task.
    """
    if profile not in PROFILES:
        raise ValueError(f"There is no profile {profile!r}; choose one of {', '.join(PROFILES)}.")
    table = {
        ("cifar10", "supervised"): ("cifar10-1k-20k", "cifar10-1k-20k", "cifar10-10k-50k"),
        ("cifar10", "semi-supervised"): ("cifar10-1k-5k-20k", "cifar10-1k-5k-20k", "cifar10-1k-5k-54k"),
        ("mnist", "supervised"): ("mnist-200-1k", "mnist-500-3500", "mnist-500-3500"),
        ("mnist", "semi-supervised"): ("mnist-200-100-1k", "mnist-500-200-3500", "mnist-500-200-3500"),
        ("lfw", "faces"): ("lfw",) * 3,
        ("lfw", "unseen faces"): ("lfw-unseen",) * 3,
        ("orl", "faces"): ("orl",) * 3,
        ("orl", "unseen faces"): ("orl-unseen",) * 3,
    }
    if (images.name, task) in table:
        return table[images.name, task][PROFILES.index(profile)]
    known = {name for name, _ in table}
    if images.name not in known and task == "supervised":
        return "folder"
    tasks = ", ".join(t for name, t in table if name == images.name) or "supervised"
    raise ValueError(f"There is no protocol for the task {task!r} on {images.name}; its tasks: {tasks}.")


def _parts(images: ImageSet, generator) -> tuple[ClassDraw, ClassDraw]:
    """Where queries and where database images come from: the set's test and training part, or one pool for both."""
    if images.part.any():
        return ClassDraw(images, generator, part=1), ClassDraw(images, generator, part=0)
    pool = ClassDraw(images, generator)
    return pool, pool


def _supervised(images, generator, query, database, untrained, validation, untrained_query=None):
    """Numbers of images a class. None takes all that is left.

    The database is the labelled training set, as in the papers; `untrained` is a second one that no training saw.
    The validation queries are drawn from the training set and taken out of it; they search the rest of it.
    """
    test, training = _parts(images, generator)
    queries = test.take(query)
    if untrained_query is None:
        untrained_search = Search(queries, test.take(untrained))
    else:  # all test images are queries already: some of them search the others
        again = ClassDraw(images, generator, part=1)
        untrained_search = Search(again.take(untrained_query), again.take(untrained))
    held_out = training.take(validation)
    train = training.rest() if database is None else training.take(database - validation)
    whole = torch.cat([held_out, train]).sort().values
    searches = {"test": Search(queries, whole), "untrained": untrained_search, "validation": Search(held_out, train)}
    return train, NONE, searches


def _semi_supervised(images, generator, query, all_labels, unlabelled, validation, labels=None):
    """Numbers of images a class, but `labels`, the labelled images in all (None: `all_labels` a class).

    The unlabelled images are the database, as in GPQ (CVPR 2020). With all labels some are held back for validation:
    a validation label is a label too. With fewer there is no validation part: settings are chosen once, with all.
    """
    test, training = _parts(images, generator)
    queries = test.take(query)
    labelled = training.take(all_labels)
    if unlabelled is None:
        everything = torch.arange(len(images))
        database = everything[~torch.isin(everything, torch.cat([queries, labelled]))]
    else:
        database = training.take(unlabelled)
    searches = {"test": Search(queries, database)}
    classes = len(images.class_names)
    if labels is None or labels == all_labels * classes:
        draw = _among(images, labelled, generator)
        held_out, train = draw.take(validation), draw.rest()
        searches["validation"] = Search(held_out, train)
    else:
        if labels < classes or labels % classes or labels > all_labels * classes:
            raise ValueError(
                f"labels={labels}: give a multiple of {classes}, from {classes} to {all_labels * classes}, "
                "so that each class has as many."
            )
        train = _among(images, labelled, torch.Generator().manual_seed(0)).take(labels // classes)
    return train, database, searches


def _among(images: ImageSet, positions, generator) -> ClassDraw:
    """A draw from these positions only."""
    draw = ClassDraw(images, generator)
    draw.left = [left[torch.isin(left, positions)] for left in draw.left]
    return draw


def _faces(images, generator, most, queries=2, validation=1):
    """At most `most` images a person; two are queries, the others the database, one of these held out."""
    people = ClassDraw(images, generator)
    people.left = [left[:most] for left in people.left]
    query = people.take(queries)
    held_out, train = people.take(validation), people.rest()
    whole = torch.cat([held_out, train]).sort().values
    return train, NONE, {"test": Search(query, whole), "validation": Search(held_out, train)}


def _unseen_faces(images, generator, most, unseen, validation, queries=2):
    """`unseen` people are never trained on and searched among themselves; `validation` others likewise."""
    people = ClassDraw(images, generator)
    order = torch.randperm(len(people.left), generator=generator).tolist()
    groups = {
        "unseen": order[:unseen],
        "validation": order[unseen : unseen + validation],
        "test": order[unseen + validation :],
    }
    searches, train = {}, NONE
    for name, members in groups.items():
        query = torch.cat([people.left[p][:queries] for p in members]).sort().values
        database = torch.cat([people.left[p][queries:most] for p in members]).sort().values
        searches[name] = Search(query, database)
        train = database if name == "test" else train
    return train, NONE, searches


def _folder(images, generator, share=0.1):
    """A tenth of the images are queries, a tenth of the rest is held out for validation; by class where there is one."""
    if images.multi_label:
        order = torch.randperm(len(images), generator=generator)
        count = max(1, int(len(images) * share))
        query, held_out, train = order[:count], order[count : 2 * count], order[2 * count :].sort().values
    else:
        draw = ClassDraw(images, generator)
        query, held_out, train = draw.take_share(share), draw.take_share(share), draw.rest()
    whole = torch.cat([held_out, train]).sort().values
    return train, NONE, {"test": Search(query, whole), "validation": Search(held_out, train)}


PROTOCOLS: dict[str, Callable] = {
    "cifar10-10k-50k": partial(
        _supervised, query=1000, database=None, untrained=900, untrained_query=100, validation=500
    ),
    "cifar10-1k-20k": partial(_supervised, query=100, database=2000, untrained=900, validation=100),
    "cifar10-1k-5k-54k": partial(_semi_supervised, query=100, all_labels=500, unlabelled=None, validation=50),
    "cifar10-1k-5k-20k": partial(_semi_supervised, query=100, all_labels=500, unlabelled=2000, validation=50),
    "mnist-500-3500": partial(_supervised, query=50, database=350, untrained=100, validation=35),
    "mnist-200-1k": partial(_supervised, query=20, database=100, untrained=50, validation=10),
    "mnist-500-200-3500": partial(_semi_supervised, query=50, all_labels=20, unlabelled=350, validation=4),
    "mnist-200-100-1k": partial(_semi_supervised, query=20, all_labels=10, unlabelled=100, validation=2),
    "lfw": partial(_faces, most=40),
    "lfw-unseen": partial(_unseen_faces, most=40, unseen=57, validation=20),
    "orl": partial(_faces, most=10),
    "orl-unseen": partial(_unseen_faces, most=10, unseen=10, validation=5),
    "folder": _folder,
}
