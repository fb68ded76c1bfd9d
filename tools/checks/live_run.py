"""The live run of a chapter really trains: its weights move, and it loads none into the model that it trains."""

import re

from checks.finding import Finding, code_cells

MIME = "application/vnd.retrieval.history+json"
NEEDED = ("steps", "seconds", "initial", "weights_before", "weights_after", "losses")
LOADS = re.compile(  # a saved state, too: its history is that of a run elsewhere
    r"\b(?:load_checkpoint|load_state_dict|load_state|load_model|load_file|read_tensors|torch\.load)\(|\bstate_path\s*="
)


def live_run_that_only_loaded(notebook) -> list[Finding]:
    """A cell tagged `live-run` without the history of a training, or with one in which nothing was trained."""
    found = []
    for i, cell in code_cells(notebook):
        if "live-run" not in cell.metadata.get("tags", []):
            continue
        histories = [o["data"][MIME] for o in cell.outputs if MIME in o.get("data", {})]
        if not histories:
            found.append(Finding(i, "is a live run without a history", "let the training loop display its history"))
        for history in histories:
            found += [Finding(i, what, "train in the cell; show a loaded model elsewhere") for what in _wrong(history)]
        if LOADS.search(cell.source):
            found.append(Finding(i, "is a live run that loads weights", "train in the cell from its stated start"))
    return found


def _wrong(history: dict) -> list[str]:
    missing = [key for key in NEEDED if key not in history]
    if missing:
        return [f"has a history without {', '.join(missing)}"]
    wrong = []
    if history["steps"] < 1 or history["seconds"] <= 0 or len(history["losses"]) < 2:
        wrong.append("has a history without training steps")
    if history["weights_before"] == history["weights_after"]:
        wrong.append("ends with the weights that it began with")
    return wrong
