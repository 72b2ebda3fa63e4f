"""Tables: which cells they have, and what Markdown and LaTeX make of them."""

import math
import re
from dataclasses import replace

import pytest

from mrilib.attacks.kinds.gaussian import Gaussian
from mrilib.metrics.quantities import QUANTITIES
from mrilib.report.names import (
    SORT_LABELS,
    attack_labels,
    mask_label,
    mask_labels,
    method_label,
    method_labels,
)
from mrilib.report.tables import LATEX, render
from mrilib.report.tables_attacks import localized_table, table_1, transfer_table
from mrilib.store.records import Record

LABELS = {"tv": "TV", "tira": "Tira (reduced)"}
METHODS = ("tv", "tira", "mine")
MASKS = {"radial-25": "25 lines", "radial-40": "40 lines"}
TITLES = {name: quantity.title for name, quantity in QUANTITIES.items()}


def transfer(records, *, labels=LABELS, note="", **changes):
    return transfer_table(
        records, **({"quantity": "amplification", "labels": labels, "note": note} | changes)
    )


def first(records, *, labels=LABELS, note="", **changes):
    given = {"quantity": "amplification", "source": "ellipses", "labels": labels, "note": note}
    return table_1(records, mask_labels=MASKS, **(given | changes))


def record(method: str, value: float = 5.0, *, paper: float = math.nan, **row: str | float) -> Record:
    return Record(
        table="",
        quantity="amplification",
        row={"source": "ellipses", "mask": "radial-40", "level": 0.01, "kind": "localized", "attack": "peak"}
        | row,
        method=method,
        value=value,
        sd=0.5,
        low=value - 0.25,
        high=value + 0.25,
        n=50,
        missing=0,
        flagged=0,
        unit="1",
        paper=paper,
        paper_sd=paper / 4,
        code_hash="",
        seed=0,
    )


def transfers() -> list[Record]:
    return [
        record(second, 6.0 if first == second else 1.5, level=level, made_for=first)
        for level in (0.01, 0.04)
        for first in METHODS
        for second in METHODS
        if (first, second) != ("mine", "tira")
    ]


def localized() -> list[Record]:
    return [
        record(
            method, mask=mask, level=level, attack=attack, paper=paper if attack != "gaussian" else math.nan
        )
        for method, mask, paper in (
            ("tv", "radial-25", 9.05),
            ("tv", "own", math.nan),
            ("tira", "radial-40", 5.91),
        )
        for level in (0.04, 0.01, 0.3)
        for attack in ("peak", "disk", "gaussian")
        for paper in [paper if level < 0.1 else math.nan]
        if (mask, attack) != ("own", "disk")
    ]


def test_transfer_has_a_row_a_perturbation_and_a_column_a_method():
    table = transfer(transfers(), note="A note.")
    described = ["images", "mask", "level", "attack", "made for", "n"]
    assert table.wide.columns.tolist() == [*described, "TV", "Tira (reduced)", "mine"]
    assert table.wide["made for"].tolist() == ["TV", "Tira (reduced)", "mine"] * 2
    assert table.wide["level"].tolist() == ["1 %"] * 3 + ["4 %"] * 3
    assert table.wide.iloc[1, 5:].tolist() == [
        "50",
        "1.50 ± 0.50 [1.25, 1.75]",
        "6.00 ± 0.50 [5.75, 6.25]",
        "1.50 ± 0.50 [1.25, 1.75]",
    ]
    assert table.wide["Tira (reduced)"].tolist()[2] == "—"
    assert len(table.long) == 16
    assert {"made_for", "method", "value", "low", "n", "attack"} <= set(table.long.columns)
    assert "Transfer" in table.title
    assert TITLES["amplification"] in table.title


def test_transfer_tells_what_is_missing_and_how_many_images_there_are():
    some = [replace(record("tv", made_for="tv"), n=48, missing=2), record("tira", made_for="tv")]
    none = replace(record("mine", made_for="tv"), n=0, missing=50, value=math.nan)
    one = replace(record("unet", made_for="tv"), n=1, sd=math.nan, low=math.nan, high=math.nan)
    cells = transfer([*some, none, one]).wide.iloc[0]
    assert cells["n"] == "0 to 50"
    assert cells["TV"] == "5.00 ± 0.50 [4.75, 5.25] (2 missing)"
    assert cells["mine"] == "— (50 missing)"
    assert cells["unet"] == "5.00"


def test_a_table_of_residuals_says_what_they_mean():
    (one,) = [replace(record("tv", 0.93), quantity="data_residual")]
    table = localized_table([one], quantity="data_residual", labels=LABELS, note="A note.")
    assert table.note.startswith("Of methods that minimise, 1 says")
    assert table.note.endswith("A note.")
    plain = localized_table([record("tv")], quantity="amplification", labels=LABELS, note="A note.")
    assert plain.note == "A note."


def test_methods_of_equal_name_keep_their_columns():
    labels = dict.fromkeys(METHODS, "same")
    table = transfer(transfers(), labels=labels)
    assert table.wide.columns.tolist()[6:] == ["same"] * 3
    assert render(table)["md"].count("6.00 ± 0.50") == render(table)["tex"].count(r"6.00 $\pm$ 0.50") == 6


def test_relative_errors_are_in_per_cent():
    records = [replace(each, quantity="relative_error", value=0.05, sd=0.005) for each in transfers()]
    table = transfer(records, quantity="relative_error")
    assert table.wide["TV"].iloc[0].startswith("5.00 ± 0.50")
    assert table.long["value"].iloc[0] == 0.05


def test_table_1_has_the_layout_of_the_papers():
    table = first(localized(), note="A note.")
    assert table.wide.columns.tolist() == [
        "level, attack",
        "TV 25 lines",
        "TV own",
        "Tira (reduced) 40 lines",
    ]
    attacks = ["peak", "disk", "gaussian", "paper"]
    rows = [f"{level} %, {attack}" for level in (1, 4, 30) for attack in attacks]
    assert table.wide["level, attack"].tolist() == rows[:-1]
    ours = "5.00 ± 0.50 [4.75, 5.25]"
    assert table.wide.iloc[0, 1:].tolist() == [ours] * 3
    assert table.wide.iloc[1, 1:].tolist() == [ours, "—", ours]
    assert table.wide.iloc[3, 1:].tolist() == ["9.05 ± 2.26", "—", "5.91 ± 1.48"]
    assert table.title == f"{TITLES['amplification']}: ellipses, n = 50; paper: n = 50"
    assert len(table.long) == len(localized())


def test_table_1_without_the_papers_numbers_has_no_row_for_them():
    records = [replace(each, paper=math.nan, quantity="severity") for each in localized()]
    table = first(records, quantity="severity")
    assert not table.wide["level, attack"].str.contains("paper").any()
    assert table.title == f"{TITLES['severity']}: ellipses, n = 50"


@pytest.mark.parametrize("make", [transfer, first])
def test_records_that_do_not_make_one_table_are_refused(make):
    records = [record("tv", made_for="tv"), record("tira", made_for="tv")]
    other = replace(records[1], quantity="severity")
    with pytest.raises(
        ValueError, match=r"table(_1)?: expected records of 'amplification', got \['severity'\]"
    ):
        make([records[0], other])
    with pytest.raises(
        ValueError, match=r"table(_1)?: expected one record a cell, got several of method 'tv'"
    ):
        make([records[0], records[0]])


@pytest.mark.parametrize("make", [transfer, first])
def test_without_records_there_is_a_table_without_rows(make):
    found = render(make([], note="A note."))
    assert "A note." in found["md"]
    assert r"\end{tabular}" in found["tex"]
    assert found["csv"].startswith("table,quantity,method,value")


def test_table_1_is_for_one_source():
    records = [record("tv"), record("tv", source="head")]
    with pytest.raises(ValueError, match=r"table_1: expected records of source 'ellipses', got \['head'\]"):
        first(records)


def test_latex_gets_no_sign_that_it_cannot_read():
    signs = "".join(sign for sign in LATEX if sign != "\\")
    note = f"{signs} ℓ1 ℓ2 \\ " + " ".join([*SORT_LABELS.values(), *TITLES.values()])
    tex = render(first(localized(), labels={"tv": "50 % of_all & #1"}, note=note))["tex"]
    assert tex.isascii()
    assert r"50 \% of\_all \& \#1 25 lines" in tex
    assert r"$\ell_1$ $\ell_2$ \textbackslash{}" in tex
    caption = tex[tex.index(r"\caption{") : tex.index(r"\begin{tabular}")]
    plain = re.sub(r"\\[\\{}$%_&#|]", "", caption)
    assert plain.count("$") % 2 == 0
    assert plain.count("{") == plain.count("}")
    assert not re.search(r"[%#&~]", plain)
    # outside of formulas a bar is a dash, < and > are question marks
    assert not re.search(r"[|<>^_]", re.sub(r"\$[^$]*\$", "", plain))


@pytest.mark.parametrize("quantity", TITLES)
def test_every_quantity_has_its_title(quantity):
    records = [replace(each, quantity=quantity) for each in localized()]
    found = render(first(records, quantity=quantity))
    assert found["md"].startswith(f"**{TITLES[quantity]}: ellipses")
    assert found["tex"].isascii()


def test_a_bar_in_a_name_ends_no_cell_of_markdown():
    body = render(first(localized(), labels={"tira": "Ti|ra"}))["md"].split("\n\n")[1].split("\n")
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in body}) == 1
    assert r"Ti\|ra 40 lines" in body[0]


def test_names_of_the_run_go_first():
    assert method_label("tira") == method_label("tira", {"tv": "TV"}) == "tira"
    assert method_label("tira", LABELS) == "Tira (reduced)"
    alike = {"a": "TV", "b": "TV", "tv": None, "mine": "My own"}
    assert method_labels(alike) == {"a": "TV (a)", "b": "TV (b)", "tv": "tv", "mine": "My own"}


def test_masks_are_known_by_what_they_are():
    about = {"a": {"kind": "radial", "lines": 25}, "radial-40": {"kind": "random", "acceleration": 4.0}}
    about |= {"equal": {"kind": "random", "acceleration": 4}, "own": {"angle": 3}}
    assert mask_label("a", about["a"]) == "25 lines"
    assert mask_labels(about) == {
        "a": "25 lines",
        "radial-40": "random 4× (radial-40)",
        "equal": "random 4× (equal)",
        "own": "own",
    }


def test_attacks_are_known_by_what_they_are():
    peak = {"kind": "localized", "sort": "peak"}
    attacks = {
        "peak": Gaussian().about,
        "a": peak | {"region": "object"},
        "b": peak,
        "mine": {"kind": "own"},
    }
    assert attack_labels(attacks) == {
        "": "no noise",
        "peak": "Gaussian noise",
        "a": "localized attack (one pixel), object",
        "b": "localized attack (one pixel)",
        "mine": "mine",
    }
    alike = attack_labels({"global": {"sort": "global"}, "two-step": {"sort": "global"}})
    assert list(alike.values()) == ["no noise", "global attack", "global attack: two-step"]


def test_headings_say_where_and_what_an_attack_looks_for():
    attacks = {"disk": {"region": "object", "artifact": "magnitude"}, "peak": {"region": "image"}}
    records = [record("tv"), record("tv", attack="disk"), record("tv", attack="n")]
    arguments = {"quantity": "amplification", "labels": {}, "attacks": attacks}
    table = localized_table(records, note="A note.", **arguments)
    assert table.wide.columns.tolist()[4:] == ["n", "disk (object, moduli)", "peak", "n (localized)"]
    assert table.note.startswith("A note. object: the places")
    assert "moduli: the attack looks for" in table.note
    assert localized_table(records[:1], note="A note.", **arguments).note == "A note."


def test_a_quantity_without_meaning_is_a_dash_and_not_missing():
    none = replace(record("unet", math.nan), n=0)
    table = localized_table([record("tv"), none], quantity="amplification", labels={}, note="")
    assert table.wide["peak"].tolist()[1] == "—"
    assert table.wide["n"].tolist() == ["50", "0"]
