"""Few labels after none: GPQ that starts from the network of SPQ's long run, against the same from scratch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from retrieval_lib.backbones import Backbone, settle_batch_statistics
from retrieval_lib.data import ImageSet
from retrieval_lib.experiments.budgets import Budget, budget_for, machine_device
from retrieval_lib.experiments.gpq import VIEWS, build, judge_test, label_counts, protocol
from retrieval_lib.experiments.gpq_long import CHOSEN as LONG_CHOSEN
from retrieval_lib.experiments.gpq_long import LONG
from retrieval_lib.experiments.gpq_pretrained import judge_probe, linear_probe, standardised_features
from retrieval_lib.experiments.grid import Cell, Grid, Job
from retrieval_lib.experiments.judging import held_out
from retrieval_lib.experiments.spq import VIEWS as SPQ_VIEWS
from retrieval_lib.experiments.spq_long import RUN, SPQ_LONG
from retrieval_lib.experiments.values import Value
from retrieval_lib.methods.gpq import GPQ, GPQSettings
from retrieval_lib.training import train

TUNED = Budget((48, 96, 192), 500)  # widths as SPQ's long run has them
LONGER_TRIED = Budget(TUNED.widths, 2000)
LONGER = Budget(TUNED.widths, LONG.steps)  # as many as GPQ's long run
LABELS = (500, 5000)
STARTS = ("from SPQ", "from scratch")
# Trials of each start: learning rate, and the backbone's share of it.
TRIALS = ((1e-2, 1.0), (5e-3, 1.0), (2e-3, 1.0), (1e-3, 1.0), (5e-3, 0.1), (2e-3, 0.1))
CHOSEN = {  # the best of each start's trials
    "from SPQ": {"learning_rate": 1e-2, "backbone_rate": 1.0},
    "from scratch": {"learning_rate": 2e-3, "backbone_rate": 1.0},
}
# Trials of the longer training from SPQ: view, weight decay. As many as GPQ's long run had, which is the other start's.
LONGER_VIEWS = VIEWS | {"small images": SPQ_VIEWS["small images"]}  # the view that SPQ's long run learned from
LONGER_TRIALS = (("shifted", 1e-4), ("mirrored", 5e-2), ("cropped", 1e-4), ("cropped", 5e-2), ("small images", 5e-2))
# With the best of these, 12,000 steps made the start worth nothing on the test queries. That is why rates and lengths were
# tried, too; they are judged among held-out images, as all trials are.
LONGER_RATES = ((5e-3, 2000), (2e-3, 2000), (5e-3, 6000), (2e-3, 6000))
LONGER_CHOSEN = {
    "from SPQ": {"view": "cropped", "weight_decay": 5e-2},  # the best of its views and decays
    # As GPQ's long run, whose trials had this rate; it differs in the network's width alone.
    "from scratch": LONG_CHOSEN | {"learning_rate": LONG.learning_rate, "backbone_rate": 1.0},
}
# The best of all trials above has 2,000 steps: that is why there is this training, too. Its rate from SPQ is that of the best
# trial; from scratch, only the number of steps differs from the longer training.
SHORTER = Budget(TUNED.widths, 2000)
SHORTER_CHOSEN = {
    "from SPQ": LONGER_CHOSEN["from SPQ"] | {"learning_rate": 5e-3},
    "from scratch": LONGER_CHOSEN["from scratch"],
}
# By name: the start, how many times the steps, and changed settings of the method or of the training.
VARIANTS: dict[str, tuple[str, int, dict]] = {
    "from SPQ": ("from SPQ", 1, {}),
    "from SPQ, labels alone, equal steps": ("from SPQ", 1, {"entropy": 0.0}),
    "from SPQ, labels alone, equal views": ("from SPQ", 2, {"entropy": 0.0}),
    "from scratch": ("from scratch", 1, {}),
    "from scratch, labels alone, equal steps": ("from scratch", 1, {"entropy": 0.0}),
    "from scratch, labels alone, equal views": ("from scratch", 2, {"entropy": 0.0}),
}


def spq_backbone(images: ImageSet, profile: str) -> Backbone:
    """The network of SPQ's long run, its weights from the checkpoint.

    Raises:
        FileNotFoundError: the long run was not recorded for these images and this profile.
    """
    return RUN.load(SPQ_LONG, images, profile).backbone


def _trained(job: Job, start: str, budget: Budget, told: Mapping, longer: int = 1) -> GPQ:
    """GPQ from one of the starts.

    Args:
        budget: of the training, but under the profile `quick`.
        told: the learning rate and the backbone's share; and the weight of the entropy, the view by name and the weight
            decay, where they are not the usual ones.
        longer: how many times the budget's steps.
    """
    chosen = budget_for(job.profile, budget)
    chosen = replace(
        chosen, steps=longer * chosen.steps, learning_rate=told["learning_rate"],
        weight_decay=told.get("weight_decay", chosen.weight_decay),
    )  # fmt: skip
    published = GPQSettings(bits=job.cell.bits)
    view = LONGER_VIEWS[told["view"]] if "view" in told else published.view
    settings = replace(published, entropy=told.get("entropy", published.entropy), view=view)
    if start == "from SPQ":
        network = spq_backbone(job.images, job.profile)
        method = GPQ(network, len(job.images.class_names), settings, job.cell.seed).to(machine_device())
    else:
        method = build(job.images, job.split, chosen, settings, job.cell.seed)
    training = replace(chosen.training(job.cell.seed, job.split), backbone_rate=told["backbone_rate"])
    train(method, job.images, job.split, training, state_path=job.state, snapshot_count=10, initial=start)
    return method


def _settled(job: Job, start: str, budget: Budget, told: Mapping, longer: int = 1) -> GPQ:
    """The same with what was chosen for the start; and its batch statistics are taken anew from labelled images as they are.

    Those of the training are of views, and with unlabelled images also of the database: a control has others.
    """
    method = _trained(job, start, budget, CHOSEN[start] | told, longer)
    settle_batch_statistics(method.backbone, job.images.images[job.split.train])
    return method


def _run_trial(job: Job) -> Sequence[Value]:
    told = dict(job.cell.settings)
    return [held_out(_trained(job, told.pop("start"), TUNED, told), job.images, job.split)]


def _run_longer_trial(job: Job) -> Sequence[Value]:
    budget = replace(LONGER_TRIED, steps=job.cell.settings.get("steps", LONGER_TRIED.steps))
    return [held_out(_settled(job, "from SPQ", budget, job.cell.settings), job.images, job.split)]


def _run(job: Job) -> Sequence[Value]:
    if job.cell.method == "linear probe":
        features = standardised_features(job.images, job.split, spq_backbone(job.images, job.profile).eval())
        return judge_probe(linear_probe(features, job.images, job.split), features, job.images, job.split)
    start, longer, changes = VARIANTS[job.cell.variant]
    return judge_test(_settled(job, start, TUNED, changes, longer), job.images, job.split)


def _run_longer(job: Job) -> Sequence[Value]:
    start = job.cell.variant
    return judge_test(_settled(job, start, LONGER, LONGER_CHOSEN[start]), job.images, job.split)


def _run_shorter(job: Job) -> Sequence[Value]:
    start = job.cell.variant
    return judge_test(_settled(job, start, SHORTER, SHORTER_CHOSEN[start]), job.images, job.split)


def _trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        Cell("GPQ", f"{start}, rate {rate:g}, the network's share {share:g}", drawn, 48,
             settings={"start": start, "learning_rate": rate, "backbone_rate": share})
        for start in STARTS
        for rate, share in TRIALS
    ]  # fmt: skip


def _longer_trial_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn, chosen = protocol(profile, images), LONGER_CHOSEN["from SPQ"]
    return [
        *(
            Cell("GPQ", f"{view}, weight decay {decay:g}", drawn, 48, settings={"view": view, "weight_decay": decay})
            for view, decay in LONGER_TRIALS
        ),
        *(
            Cell("GPQ", f"rate {rate:g}, {steps:,} steps", drawn, 48,
                 settings=chosen | {"learning_rate": rate, "steps": steps})
            for rate, steps in LONGER_RATES
        ),
    ]  # fmt: skip


def _cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [
        *(
            Cell("GPQ", name, drawn, 48, seed, split_settings={"labels": labels})
            for seed in range(3)
            for labels in label_counts(profile, images, LABELS)
            for name in VARIANTS
        ),
        Cell("linear probe", "SPQ's features", drawn),  # with all labels
    ]


def _longer_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [Cell("GPQ", start, drawn, 48) for start in STARTS]


def _shorter_cells(profile: str, images: ImageSet) -> list[Cell]:
    drawn = protocol(profile, images)
    return [Cell("GPQ", start, drawn, 48, seed) for seed in range(3) for start in STARTS]


FROM_SPQ_TRIALS = Grid(
    "from-spq-trials",
    "Learning rates of GPQ that starts from SPQ's network, and from scratch, chosen among held-out images",
    "general", _trial_cells, _run_trial, 200, repeatable=False,
)  # fmt: skip
FROM_SPQ = Grid(
    "from-spq",
    "GPQ that starts from SPQ's network, and from scratch: 500 and 5,000 labels, 48 bits, three seeds; a linear probe",
    "general", _cells, _run, 300, repeatable=False,
)  # fmt: skip
FROM_SPQ_LONGER_TRIALS = Grid(
    "from-spq-longer-trials",
    "View, weight decay, rate and length of the longer training from SPQ's network, chosen among held-out images",
    "general", _longer_trial_cells, _run_longer_trial, 700, repeatable=False,
)  # fmt: skip
FROM_SPQ_LONGER = Grid(
    "from-spq-longer",
    "GPQ that starts from SPQ's network, and from scratch: 5,000 labels, 48 bits, 12,000 steps",
    "general", _longer_cells, _run_longer, 2700, repeatable=False,
)  # fmt: skip
FROM_SPQ_SHORTER = Grid(
    "from-spq-shorter",
    "GPQ that starts from SPQ's network, and from scratch: 5,000 labels, 48 bits, 2,000 steps, three seeds",
    "general", _shorter_cells, _run_shorter, 500, repeatable=False,
)  # fmt: skip
