import torch

from mrilib.store import unfinished
from mrilib.store.checkpoints import write_state
from mrilib.store.unfinished import Unfinished


def test_the_state_is_found_under_its_key_alone(tmp_path, capsys):
    path = tmp_path / "folder" / "a.pt"
    assert Unfinished(path, "key", "work").read() is None
    Unfinished(path, "key", "work").write({"step": 3, "values": torch.arange(2)})
    found = Unfinished(path, "key", "work").read()
    assert found["step"] == 3
    assert found["values"].tolist() == [0, 1]
    assert capsys.readouterr().out == ""
    assert Unfinished(path, "other", "work").read() is None
    assert f"work begins anew: {path} holds the state of other work" in capsys.readouterr().out
    Unfinished(path, "other", "work").write({"step": 4})
    assert Unfinished(path, "other", "work").read()["step"] == 4


def test_a_damaged_or_foreign_file_is_told_and_not_used(tmp_path, capsys):
    path = tmp_path / "a.pt"
    Unfinished(path, "key", "work").write({"values": torch.arange(100)})
    path.write_bytes(path.read_bytes()[:300])
    assert Unfinished(path, "key", "work").read() is None
    assert "work begins anew" in capsys.readouterr().out
    write_state(path, {"step": 3})
    assert Unfinished(path, "key", "work").read() is None
    assert "holds the state of other work" in capsys.readouterr().out


def test_it_is_due_after_a_time_and_not_at_once_after_a_write(tmp_path, monkeypatch):
    monkeypatch.setattr(unfinished, "SAVE_EVERY", 3600.0)
    assert not Unfinished(tmp_path / "a.pt", "key", "work").due
    monkeypatch.setattr(unfinished, "SAVE_EVERY", 0.0)
    file = Unfinished(tmp_path / "a.pt", "key", "work")
    assert file.due
    now = [100.0]
    monkeypatch.setattr(unfinished.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(unfinished, "SAVE_EVERY", 60.0)
    file.write({})
    now[0] = 159.0
    assert not file.due
    now[0] = 160.0
    assert file.due


def test_without_a_path_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(unfinished, "SAVE_EVERY", 0.0)
    file = Unfinished(None, "key", "work")
    file.write({"step": 3})
    assert not file.kept
    assert not file.due
    assert file.read() is None
    assert list(tmp_path.iterdir()) == []
