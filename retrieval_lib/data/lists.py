"""The papers' larger data sets: three lists say which images are trained on, which are queries, which are searched."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from retrieval_lib.data.folder import own_name, read_images, read_table, to_targets
from retrieval_lib.data.images import ImageSet, fixed_order, image_set
from retrieval_lib.data.splits import Search, Split, finish_split

LISTS = ("train", "query", "database")


def load_lists(
    path, lists: Mapping[str, Path], size: int, held_out: float = 0.1, learn_from_database: bool = False
) -> tuple[ImageSet, Split]:
    """Read images by lists, and make the split that the lists say.

    An image may stand in `train` and in `database`, as it does in the papers' lists of ImageNet-100, NUS-WIDE and
    COCO; it is read once. A share of the training images is held out as validation queries, which search the others.

    Args:
        path: the folder that holds the images.
        lists: for each of `train`, `query` and `database` a CSV file as `load_folder` reads it: columns `path` and
            `label`, several labels separated by semicolons.
        size: every image is brought to size × size pixels in colour.
        held_out: the share of the training images for validation.
        learn_from_database: whether the database images that are not in `train` may be learned from without their
            labels, as in GPQ (CVPR 2020).

    Returns:
        The images, and a split with the searches `test` and `validation`.

    Raises:
        ValueError: a list is missing, an image has other labels in another list, or a query stands in another list;
            else as `load_folder`.
        NotADirectoryError, FileNotFoundError: as `load_folder`.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is no folder; give the folder that holds the images.")
    if set(lists) != set(LISTS):
        raise ValueError(f"There are lists of {', '.join(lists) or 'nothing'}; give one each of {', '.join(LISTS)}.")
    labels: dict[Path, list[str]] = {}
    members: dict[str, list[Path]] = {}
    for name in LISTS:
        members[name], several = read_table(root, Path(lists[name]))
        for file, names in zip(members[name], several, strict=True):
            if sorted(labels.setdefault(file, names)) != sorted(names):
                raise ValueError(f"{file.name} has other labels in the list {name} than in a list before; mend one.")
    files = list(labels)
    targets, class_names = to_targets(list(labels.values()))
    source = f"lists of {root.resolve().name}"
    images = image_set(own_name(root), source, read_images(files, size), targets, class_names)
    place = {files[number]: position for position, number in enumerate(fixed_order(len(files)).tolist())}
    position = {name: torch.tensor([place[file] for file in members[name]]).sort().values for name in LISTS}
    return images, _split(images, position, held_out, learn_from_database)


def _split(images: ImageSet, position: Mapping[str, Tensor], held_out: float, learn_from_database: bool) -> Split:
    train = position["train"]
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    count = max(1, int(len(train) * held_out))
    validation, kept = train[order[:count]].sort().values, train[order[count:]].sort().values
    searches = {"test": Search(position["query"], position["database"]), "validation": Search(validation, kept)}
    unlabelled = torch.empty(0, dtype=torch.int64)
    if learn_from_database:
        unlabelled = position["database"][~torch.isin(position["database"], train)]
    return finish_split(images, "lists", 0, kept, unlabelled, searches)
