"""Extraction as a user types it, on small videos and on real ones."""

from pathlib import Path

import numpy as np
import pytest
from videos import cut_off, four_videos, made, painted, write_video

from skeldistill.data.store import Store

pytest.importorskip("av")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four videos of two classes."""
    return four_videos(tmp_path / "videos")


def test_from_videos_to_a_pair_of_stores(skeldistill, folder, tmp_path):
    first = made(folder, tmp_path).stores["low"]
    cut_off(write_video(folder / "run" / "long.mkv", painted(20)), "d.mkv", 8)
    for name in ("long.mkv", "d.mp4"):
        (folder / "run" / name).unlink()
    (folder / "run" / "text.mp4").write_text("no video", encoding="utf-8")
    views = [f"--estimator={name}=replay:store={first.path}" for name in ("high", "low")]
    code, out, err = skeldistill(
        "extract", "videos", "pair", *views, "--labels", "folders", "--workers", "2"
    )
    assert code == 1
    assert "high.arrow: 4 clips, layout coco17" in out
    assert "1 of 5 videos failed: pair/extract/failures.csv" in err
    assert "1 of 5 videos may have been cut off: pair/extract/warnings.csv" in err
    high, low = (Store.open(tmp_path / "pair" / f"{name}.arrow") for name in ("high", "low"))
    assert high.fingerprint == low.fingerprint
    assert high.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(high.checksums, first.checksums)
    code, out, _ = skeldistill("data", "check", "pair/low.arrow", "--pair", "pair/high.arrow")
    assert code == 0
    assert "0 errors" in out


def test_what_a_table_does_not_name_is_told_before_anything_is_extracted(
    skeldistill, folder, tmp_path
):
    rows = "video,label\nclap/a,clap\nclap/bb,clap\n"
    (tmp_path / "labels.csv").write_text(rows, encoding="utf-8")
    words = ("videos", "a.arrow", "--estimator", "rtmpose", "--labels", "labels.csv")
    code, _, err = skeldistill("extract", *words, "--engine", "rai")
    assert code == 1
    assert "labels.csv: 1 of 2 rows left out, which name no video; the first is 'clap/bb'" in err
    assert "labels.csv: 3 of 4 videos not named, which stay without label" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "a.arrow", "--estimator", "rtmpose"], "no nowhere; name a folder"),
        (["videos", "a.arrow", "--estimator", "replay:store=x"], "no store at x"),
        (["videos", "a.arrow", "--estimator", "=replay"], "write it as [VIEW=]NAME"),
        (["videos", "a.arrow", *["--estimator", "rtmpose"] * 2], "'rtmpose' comes twice"),
        (["videos", "a.arrow", "--estimator", "mediapipe"], "mediapipe needs model=FILE"),
        (
            ["videos", "a", "--estimator", "rtmpose", "--choose", "best"],
            "no choice called 'best'",
        ),
        (
            ["videos", "a", "--estimator", "rtmpose", "--engine", "rai"],
            "did you mean 'ray'",
        ),
    ],
)
def test_wrong_words_are_one_line(skeldistill, folder, words, message):
    pytest.importorskip("mediapipe") if "mediapipe" in words else None
    code, _, err = skeldistill("extract", *words)
    assert code == 1
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.extras
def test_real_videos_become_a_pair_that_is_sound(skeldistill, real_data, tmp_path):
    pytest.importorskip("mediapipe")
    model = real_data("models/pose_landmarker_full.task")
    videos = sorted(real_data("videos").glob("*__*"))
    (tmp_path / "list.txt").write_text("\n".join(map(str, videos)), encoding="utf-8")
    rows = [f"{video.name},{video.name.split('__')[0]},test" for video in videos]
    labels = "\n".join(["video,label,split", *rows])
    (tmp_path / "labels.csv").write_text(labels, encoding="utf-8")
    code, _, err = skeldistill(
        *("extract", "list.txt", "pair", "--labels", "labels.csv"),
        *("--estimator", f"high=mediapipe:model={model},tiles=2"),
        *("--estimator", f"low=mediapipe:model={model},short_side=128"),
    )
    assert code == 0, err
    code, out, _ = skeldistill("data", "check", "pair/low.arrow", "--pair", "pair/high.arrow")
    assert code == 0, out
    high, low = (Store.open(tmp_path / "pair" / f"{name}.arrow") for name in ("high", "low"))
    assert len(high) == len(low) == 6
    assert high.classes == ("clap", "golf", "pour", "pullup", "walk", "wave")
    lost = [np.mean([np.mean(s.scores(i)[0] == 0) for i in range(6)]) for s in (high, low)]
    assert lost[0] < lost[1] < 0.5
