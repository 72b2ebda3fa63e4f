"""Tables come back from CSV as they went."""

import json
import math
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mrilib.data.annotations import read_annotations
from mrilib.data.catalogue import Entry, read_catalogue, summarise_volumes, to_frame
from mrilib.data.measurement import measure_image
from mrilib.data.measurement_files import read_about, read_measurement, write_measurement
from mrilib.data.selection import select_slices, split_patients
from mrilib.experiments.attacks import Attacks
from mrilib.experiments.scores import read_scores, scores_csv
from mrilib.experiments.transfer import Transfer
from mrilib.report.tables import long_form
from mrilib.store.arrays import Group, read_group, write_groups
from mrilib.store.records import read_records, write_records
from mrilib.store.tables import empty_table, read_table
from mrilib.training.history import KINDS, read_history
from tests.experiments.frames import clean, peak, run_of

ROOT = Path(__file__).parents[2]
# All of them are somebody's names; read without types most become numbers, truths or nothing.
NAMES = [
    "0012",
    "12",
    "012",
    "007",
    "1e5",
    "NA",
    "null",
    "nan",
    "None",
    "True",
    "no",
    "1_0",
    "-",
    " x ",
    "ℓ1",
]
HARD = [*NAMES, "", 'a,"b"\nc', "inf", "0x1F", "2023-01-01", "N/A", "#1"]


def test_texts_stay_texts_and_numbers_keep_their_last_bit(tmp_path):
    numbers = [0.1 + 0.2, 1e-300, -math.inf, math.nan, 1 / 3]
    frame = pd.DataFrame(
        {
            "name": HARD[:5],
            "unnamed": HARD[-5:],
            "flag": [True, False] * 2 + [True],
            "count": [2**60 + 1, 0, -1, 3, 4],
            "index": pd.array([1, None, 2**60 + 1, 0, 3], dtype="Int64"),
            "number": numbers,
        }
    )
    frame.to_csv(tmp_path / "table.csv", index=False)
    kinds = {"flag": "flag", "count": "count", "index": "index", "number": "number", "absent": "text"}
    found = read_table(tmp_path / "table.csv", kinds)
    assert found.columns.tolist() == frame.columns.tolist()
    pd.testing.assert_frame_equal(found, frame.astype({"name": object, "unnamed": object}))
    nothing = read_table(_written(tmp_path, frame.iloc[:0].to_csv(index=False)), kinds)
    assert nothing["flag"].dtype == bool
    assert nothing[["name"]].dtypes.tolist() == [object]
    assert empty_table(kinds).dtypes["index"] == pd.Int64Dtype()


def _written(folder, text):
    path = folder / "written.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "cell", "expected"),
    [
        ("number", "about 3", "numbers"),
        ("flag", "yes", "True or False"),
        ("flag", "", "True or False"),
        ("count", "1.5", "whole numbers"),
        ("count", "", "whole numbers"),
        ("index", "x", "whole numbers"),
    ],
)
def test_a_cell_of_another_kind_is_refused(tmp_path, kind, cell, expected):
    path = _written(tmp_path, f"name,value\na,{cell}\n")
    message = f"expected {expected} in the column 'value', got {cell!r} in row 1; make the table again"
    with pytest.raises(ValueError, match=re.escape(message)):
        read_table(path, {"value": kind})


def test_an_empty_file_is_no_table(tmp_path):
    with pytest.raises(ValueError, match=r"written\.csv: expected a table with a header, got an empty file"):
        read_table(_written(tmp_path, ""), {})


def entry(number, name):
    return Entry(
        **dict.fromkeys(("dataset", "volume", "path", "anatomy", "acquisition", "patient", "hash"), name),
        field_strength=0.55,
        slices=2,
        slice=number % 2,
        scale=1 / 3,
        accepted=True,
    )


def test_a_catalogue_and_its_sets_keep_their_texts(tmp_path):
    entries = [entry(number, name) for name in NAMES for number in (0, 1)]
    # As the job keeps them between runs.
    entries = [Entry(**row) for row in json.loads(json.dumps([asdict(each) for each in entries]))]
    frame = to_frame(entries)
    catalogue = read_catalogue(_written(tmp_path, frame.to_csv(index=False)))
    for column in ("dataset", "volume", "path", "anatomy", "acquisition", "patient", "hash"):
        assert catalogue[column].tolist() == frame[column].tolist()
    assert catalogue["scale"].tolist() == [1 / 3] * len(catalogue)
    assert summarise_volumes(catalogue)["volume"].tolist() == NAMES
    parts = split_patients(catalogue["patient"].tolist(), {"train": 0.5, "test": 0.5}, seed=1)
    assert sorted(parts) == sorted(NAMES)
    chosen = select_slices(catalogue, count=len(NAMES), seed=1, acquisitions=NAMES[:-1], fewer=True)
    again = read_catalogue(_written(tmp_path, chosen.to_csv(index=False)))
    for column in ("volume", "patient", "acquisition", "slice", "position", "accepted"):
        assert again[column].tolist() == chosen[column].tolist()
    assert set(chosen["patient"]) == set(NAMES[:-1])


def test_scores_and_the_tables_made_from_them_keep_their_texts(tmp_path):
    rows = [
        row
        for name in NAMES
        for one in [{"source": name, "mask": name, "method": name, "patient": name, "volume": name}]
        for row in (
            clean(0.1, **one, domain=f"{name}@{name}"),
            peak(2.0, **one, attack=name, domain=f"{name}@{name}"),
            peak(2.0, **one | {"method": "other"}, attack=name, made_for=name, domain=f"{name}@{name}"),
        )
    ]
    scores = read_scores([_written(tmp_path, scores_csv(rows))])
    for column in ("source", "mask", "method", "patient", "volume", "attack", "made_for"):
        assert scores[column].tolist() == [row[column] for row in rows]
    run = run_of(scores)
    for experiment, kept in (
        (Attacks(quantity="severity"), ("method", "source", "mask", "attack")),
        (Transfer(quantity="severity"), ("made_for", "source", "mask", "attack")),
    ):
        records = experiment.records(run)
        write_records(tmp_path / "records.json", records)
        records = read_records(tmp_path / "records.json")
        table = long_form(records)
        again = read_table(_written(tmp_path, table.to_csv(index=False)), {"value": "number", "n": "count"})
        for column in kept:
            assert again[column].tolist() == table[column].tolist()
            assert set(NAMES) <= set(again[column])
        assert again["value"].tolist() == table["value"].tolist()
        assert again["n"].tolist() == [1] * len(records)


def test_annotations_keep_their_texts(tmp_path):
    names = [name for name in NAMES if name == name.strip()]
    lines = [f"{name},0,No,1,1,2,2,{name}\n" for name in names]
    header = "file,slice,study_level,x,y,width,height,label\n"
    table = read_annotations(_written(tmp_path, header + "".join(lines)), shapes=(16, 16))
    kinds = {"slice": "count", "row": "index", "study_level": "flag"}
    again = read_table(_written(tmp_path, table.to_csv(index=False)), kinds)
    assert again["file"].tolist() == again["label"].tolist() == table["file"].tolist() == names
    assert again["row"].tolist() == table["row"].tolist()


def test_a_history_keeps_its_texts(tmp_path):
    rows = [
        {"phase": 0, "epoch": 1 + index, "loss": 1 / 3, "validation_error": math.nan, "best": index == 2}
        | {"seconds": 1.0, "samples_per_second": 2.0, "zero_filled": 0.3}
        | dict.fromkeys(("method", "domain", "source", "mask"), name)
        for index, name in enumerate(NAMES)
    ]
    frame = pd.DataFrame(rows)
    found = read_history(_written(tmp_path, frame.to_csv(index=False)))
    assert found.columns.tolist() == frame.columns.tolist()
    assert found["method"].tolist() == found["mask"].tolist() == NAMES
    assert found["best"].dtype == bool
    assert found["loss"].tolist() == [1 / 3] * len(NAMES)
    with pytest.raises(ValueError, match=r"no columns \['zero_filled'\]"):
        read_history(_written(tmp_path, frame.drop(columns="zero_filled").to_csv(index=False)))
    assert set(KINDS) == set(frame.columns)


@pytest.mark.parametrize("name", HARD)
def test_attributes_of_arrays_stay_texts(tmp_path, name):
    about = {"patient": name, "volume": name, "anatomy": name, "slice": 4, "simulated": True}
    write_groups(tmp_path / "one.h5", {"": Group(attributes=about), "unit": Group({"a": np.zeros(2)}, about)})
    for group in ("", "unit"):
        assert read_group(tmp_path / "one.h5", group).attributes == about
    image = torch.rand(8, 8)
    write_measurement(
        tmp_path / "two.h5",
        measure_image(image, torch.ones(8, 8, dtype=torch.bool), about=about),
        source=name,
    )
    assert read_measurement(tmp_path / "two.h5").about == about | {"source": name}
    assert read_about(tmp_path / "two.h5")["patient"] == name


def test_tables_are_read_in_one_place():
    reading = re.compile(r"\bread_csv\(|\bread_table\(|\bDictReader\(|\bcsv\.reader\(")
    found = {}
    for folder in ("mrilib", "workflow_scripts", "rules", "benchmarks"):
        for path in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.smk")]:
            for name in reading.findall(path.read_text(encoding="utf-8")):
                found.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    assert found.pop("read_table(")
    # What others wrote has its own reader, which takes every cell as a text.
    assert found == {
        "read_csv(": ["mrilib/store/tables.py"],
        "csv.reader(": ["mrilib/data/annotations.py"],
    }
