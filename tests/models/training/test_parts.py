"""How often a stage passes over the data."""

from dataclasses import replace

from models.training.parts import Stage
from models.training.presets import preset


def test_a_small_catalogue_is_seen_more_often() -> None:
    stage = Stage(name="heads", parts=("heads",), epochs=12, learning_rate=1e-3, fewest_steps=600)
    assert [stage.passes(steps) for steps in (1, 4, 50, 51, 1000)] == [600, 150, 12, 12, 12]
    assert replace(stage, epochs=0).passes(4) == 0
    lite = preset("lite", epochs={"warm-up": 12})  # as many as the user says
    assert [(stage.name, stage.passes(4)) for stage in lite.stages] == [("warm-up", 12), ("tuning", 25)]
