"""The notebook in docs/ runs from top to bottom, and its detector learns to count."""

import pathlib
import re

import nbclient
import nbformat

NOTEBOOK = pathlib.Path(__file__).resolve().parents[2] / "docs" / "detection.ipynb"


def test_the_notebook_runs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are made when it is run, not committed"
    # The package is here already.
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", ())]
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=None).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    number, error = map(
        float, re.search(r"objects in an image: ([\d.]+); error of the count: ([\d.]+)", printed).groups()
    )
    # A prediction of no objects at all is wrong by `number`.
    assert error < number / 2
    shown = [output.data for output in outputs if output.output_type in ("display_data", "execute_result")]
    assert sum("image/png" in data for data in shown) == 2
    assert "<table>" in shown[-1]["text/html"]
