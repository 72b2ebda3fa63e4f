from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mrilib.data.volumes
from mrilib.data.annotations import COLUMNS, read_annotations

PLUS = "file,slice,study_level,x,y,width,height,label\n"
CALIVA = "filename,slice,numBBs,labels,coords\n"
SIZE = (320, 320)


@pytest.fixture
def read(tmp_path):
    def write_and_read(text, **options):
        path = tmp_path / "boxes.csv"
        path.write_bytes(text.encode())
        return read_annotations(path, **({"shapes": SIZE} | options))

    return write_and_read


def boxes(table):
    return table[["file", "slice", "row", "column", "height", "width"]].values.tolist()


def stored_upside_down(x, y, width, height):
    """A target whose only bright pixels are those of the box in the flipped view."""
    seen = np.zeros(SIZE)
    seen[y : y + height, x : x + width] = 1.0
    return seen[::-1]


@pytest.mark.parametrize(
    "text",
    [
        PLUS + "file1000001,14,No,90,173,35,10,Cyst\n",
        CALIVA + "file1000001,15,1,['Cyst'],[[ 90. 125. 173. 183.]]\n",
        # not on the border of a pixel: all that the box touches
        CALIVA + "file1000001,15,1,['Cyst'],[[ 90.3 124.6 173.99999 182.01]]\n",
    ],
)
def test_the_box_covers_the_pixels_that_were_seen(read, text):
    table = read(text)
    assert tuple(table.columns) == COLUMNS
    (box,) = table.itertuples()
    assert (box.file, box.slice, box.label, box.study_level) == ("file1000001", 14, "Cyst", False)
    target = stored_upside_down(90, 173, 35, 10)
    inside = np.zeros(SIZE)
    inside[box.row : box.row + box.height, box.column : box.column + box.width] = 1.0
    assert np.array_equal(inside, target)
    assert box.source == ("fastmri+" if text.startswith("file,") else "caliva")


def test_the_flip_is_about_the_height_of_the_target(read):
    text = PLUS + "a,0,No,10,20,5,7,x\nb.h5,0,No,10,20,5,7,x\nc,0,No,10,20,5,7,x\n"
    table = read(text, shapes={"a": (320, 320), "b": (640, 300)})
    # c has no shape: it is about another set of files
    assert boxes(table) == [["a", 0, 293, 10, 7, 5], ["b", 0, 613, 10, 7, 5]]
    assert boxes(read(text, shapes={"a.h5": (320, 320)})) == [["a", 0, 293, 10, 7, 5]]


def test_labels_of_a_study_have_no_box(read):
    table = read(PLUS + "a,3,Yes,,,,,Motion artifact \na,3,No,1,2,3,4,Mass\n")
    assert table.study_level.tolist() == [True, False]
    assert table[["row", "column", "height", "width"]].isna().all(axis=1).tolist() == [True, False]
    assert table.label.tolist() == ["Motion artifact", "Mass"]


def test_an_empty_table_has_its_columns(read):
    table = read(PLUS)
    assert len(table) == 0
    assert tuple(table.columns) == COLUMNS


def test_cells_of_several_boxes(read):
    # as numpy prints arrays: no commas, blanks for alignment, line breaks inside the cell; invented numbers
    text = CALIVA + (
        "file1,21,2,['Med_Men' 'Cyst'],\"[[190.5 200.25 100.   110.  ]\n [ 50.  60.   10.5  20.75]]\"\n"
        "file1,22,1,['Lat_Men'],[[1.23e+02 1.30e+02 1.00e+00 2.00e+00]]\r\n"
    )
    table = read(text)
    assert table.label.tolist() == ["Med_Men", "Cyst", "Lat_Men"]
    assert boxes(table) == [
        ["file1", 20, 210, 190, 10, 11],
        ["file1", 20, 299, 50, 11, 10],
        ["file1", 21, 318, 123, 1, 7],
    ]


def test_columns_may_stand_in_another_order_after_a_byte_order_mark(read):
    table = read("\ufefflabel,height,width,y,x,study_level,slice,file,note\nMass,4,3,2,1,no,0,a,seen twice\n")
    assert boxes(table) == [["a", 0, 314, 1, 4, 3]]


GOOD = "a,0,No,1,2,3,4,Mass\n"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("a,0,No,1,2,3,Mass", r"expected 8 cells, got 7"),
        (",0,No,1,2,3,4,Mass", r"column 'file': expected a text, got an empty cell"),
        ("a,1.5,No,1,2,3,4,Mass", r"column 'slice': expected a whole number from 0 on, got '1.5'"),
        ("a,-1,No,1,2,3,4,Mass", r"column 'slice': expected a whole number from 0 on, got '-1'"),
        ("a,0,perhaps,1,2,3,4,Mass", r"column 'study_level': expected Yes or No, got 'perhaps'"),
        ("a,0,Yes,1,,,,Mass", r"column 'x': expected an empty cell for a whole study, got '1'"),
        ("a,0,No,one,2,3,4,Mass", r"column 'x': expected a number, got 'one'"),
        ("a,0,No,1,,3,4,Mass", r"column 'y': expected a number, got an empty cell"),
        ("a,0,No,1,2,nan,4,Mass", r"column 'width': expected a number, got 'nan'"),
        ("a,0,No,1,2,1e999,4,Mass", r"column 'width': expected a number, got '1e999'"),
        ("a,0,No,1,2,3,0,Mass", r"expected a box of some height and width, got x from 1 to 4, y from 2 to 2"),
        ("a,0,No,1,2,-3,4,Mass", r"expected a box of some height and width"),
        ("a,0,No,1,-1,3,4,Mass", r"inside the image of 320×320, got x from 1 to 4, y from -1 to 3"),
        ("a,0,No,318,2,3,4,Mass", r"inside the image of 320×320, got x from 318 to 321"),
        ("a,0,No,1,2,3,4,", r"column 'label': expected a text, got an empty cell"),
        ("a,0,No,1,2,3,4,Mass", r"expected every box once, got that of line 2 again"),
    ],
)
def test_bad_lines_are_named(read, bad, reason):
    text = f"{PLUS}{GOOD}{bad}\n\nb,0,No,1,2,3,4,Mass\n"
    with pytest.raises(ValueError, match=r"boxes\.csv: 1 lines do not fit.*\n  line 3: ") as raised:
        read(text)
    assert reason in str(raised.value)
    table, reasons = read(text, strict=False)
    assert table.file.tolist() == ["a", "b"]
    assert len(reasons) == 1
    assert reasons[0].startswith("line 3: ")
    assert reason in reasons[0]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("f,0,1,['Cyst'],[[1 2 3 4]]", "column 'slice': expected a whole number from 1 on, got '0'"),
        ("f,1,2,['Cyst'],[[1 2 3 4]]", "column 'labels': expected 2 labels, as numBBs says"),
        ("f,1,2,['Cyst' 'Cyst'],[[1 2 3 4]]", "column 'coords': expected 2 boxes, as numBBs says"),
        ("f,1,1,['Cyst'],[[1 2 3]]", "column 'coords': expected four numbers x0 x1 y0 y1, got '1 2 3'"),
        ("f,1,1,['Cyst'],[[1 2 3 ...]]", "column 'coords': expected a number, got '...'"),
        ("f,1,1,['Cyst'],[[2 1 3 4]]", "expected a box of some height and width, got x from 2 to 1"),
        (
            "f,1,1,['Cyst'],[[1 2 3 320.5]]",
            "inside the image of 320×320, got x from 1 to 2, y from 3 to 3",
        ),
    ],
)
def test_bad_lines_of_caliva_are_named(read, bad, reason):
    table, reasons = read(f"{CALIVA}{bad}\ng,1,1,['Cyst'],[[1 2 3 4]]\n", strict=False)
    assert table.file.tolist() == ["g"]
    assert len(reasons) == 1
    assert reason in reasons[0]


def test_lines_are_counted_as_an_editor_does(read):
    text = CALIVA + "f,1,2,['A' 'B'],\"[[1 2 3 4]\n [1 2 5 6]]\"\nf,none,1,['A'],[[1 2 3 4]]\n"
    _, reasons = read(text, strict=False)
    assert reasons == ["line 4: column 'slice': expected a number, got 'none'"]


def test_boxes_of_caliva_fit_one_shape_only(read):
    text = CALIVA + "f,1,1,['Cyst'],[[1 2 3 4]]\n"
    with pytest.raises(ValueError, match=r"expected a target of 320×320 for these boxes, got 640×320 of f"):
        read(text, shapes={"f": (640, 320)})


def test_an_error_shows_ten_reasons(read):
    with pytest.raises(ValueError, match=r"15 lines do not fit(.|\n)*line 11:(.|\n)*and 5 more lines"):
        read(PLUS + "a,x,No,1,2,3,4,Mass\n" * 15)


@pytest.mark.parametrize("text", ["", "\n", "file,slice\n", "<html>expired</html>\n"])
def test_refuses_other_tables(read, text):
    with pytest.raises(
        ValueError, match=r"boxes.csv: expected the columns file, slice, .* or filename, slice"
    ):
        read(text)


def test_refuses_what_is_no_text(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_bytes(PLUS.encode() + b"\xff\xfe\x00\n")
    with pytest.raises(ValueError, match="expected a CSV file in UTF-8"):
        read_annotations(path, shapes=SIZE)
    with pytest.raises(FileNotFoundError, match=r"none\.csv: expected a CSV file, got none"):
        read_annotations(tmp_path / "none.csv", shapes=SIZE)


@given(
    st.sampled_from([PLUS, CALIVA]),
    st.text(max_size=300) | st.text("0123456789.,-'[]\"\n NoYesf", max_size=300),
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gives_a_table_or_a_reason(tmp_path, header, text):
    path = tmp_path / "any.csv"
    path.write_bytes((header + text).encode("utf-8", "surrogatepass"))
    try:
        table, _ = read_annotations(path, shapes=SIZE, strict=False)
    except ValueError:
        return
    drawn = table[~table.study_level]
    assert (drawn.row >= 0).all()
    assert (drawn.column >= 0).all()
    assert (drawn.row + drawn.height <= SIZE[0]).all()
    assert (drawn.column + drawn.width <= SIZE[1]).all()


def test_the_boxes_on_the_simulated_brains_are_inside_and_called_ours():
    file = Path(mrilib.data.volumes.__file__).with_name("demo_boxes.csv")
    table = read_annotations(file, shapes=(112, 104))
    assert len(table) == 32
    assert all(label.endswith("(ours)") for label in table.label)
    config = yaml.safe_load((Path(__file__).parents[2] / "config.shifts.yaml").read_text(encoding="utf-8"))
    assert set(table.file) == set(config["datasets"]["brain-test"]["volumes"])
    # Every slice of every volume has two or three, so that whatever stands in a set has some.
    counts = table.groupby(["file", "slice"]).size()
    assert len(counts) == 12
    assert set(counts) == {2, 3}


# What [zhao2022] counts: boxes, labels of a study. Then what does not fit: boxes that begin one row above
# the image, boxes of no size, and lines that repeat one (in the brain file, of a study).
REAL = {
    "knee": ((16154, 13), {"inside": 6, "some height": 1, "once": 5}, 22, "Meniscus Tear", 5653),
    "brain": (
        (7570, 643),
        {"inside": 0, "some height": 2, "once": 1},
        30,
        "Nonspecific white matter lesion",
        1826,
    ),
}


@pytest.mark.data
@pytest.mark.parametrize("anatomy", REAL)
def test_the_published_files(data_folder, anatomy):
    (count, studies), faults, labels, commonest, times = REAL[anatomy]
    table, reasons = read_annotations(data_folder / f"fastmriplus_{anatomy}.csv", shapes=SIZE, strict=False)
    assert {fault: sum(fault in reason for reason in reasons) for fault in faults} == faults
    assert len(reasons) == sum(faults.values())
    assert all("y from -1 to" in reason for reason in reasons if "inside" in reason)
    assert len(table) == count + studies - len(reasons)
    assert table.label.nunique() == labels
    assert table.label.value_counts().iloc[0] == times
    assert table.label.value_counts().index[0] == commonest
    drawn = table[~table.study_level]
    assert drawn.notna().all(axis=None)
    assert (drawn[["slice", "row", "column"]] >= 0).all(axis=None)
    assert (drawn[["height", "width"]] >= 1).all(axis=None)
    assert (drawn.row + drawn.height <= SIZE[0]).all()
    assert (drawn.column + drawn.width <= SIZE[1]).all()
