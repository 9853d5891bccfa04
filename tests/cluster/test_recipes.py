"""What Ray reads of the cluster's files, and recipes that hand on to each other."""

from tests.builders import REPOSITORY
from tests.cluster.manifests import CLUSTER, read
from training.distributed.cluster import worker_environment
from training.pipeline.recipe import PipelineConfig


def test_ray_accepts_the_cluster_for_ray_up() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(read("ray_cluster.yaml"))
    validate_config(config)
    assert set(config["available_node_types"]) == {"head", "gpu_worker"}
    assert config["head_node_type"] == "head"


def test_runtime_environment_is_valid_and_says_nothing_twice() -> None:
    from ray.runtime_env import RuntimeEnv

    environment = read("runtime_env.yaml")
    RuntimeEnv(**environment)
    variables = environment["env_vars"]
    assert isinstance(variables, dict)
    assert not set(variables) & set(
        worker_environment()
    )  # Ray refuses a job and a driver that both set one


def test_recipes_of_the_pipeline_hand_on_to_each_other() -> None:
    names = ("prepare", "train", "tune", "evaluate")
    prepare, train, tune, evaluate = (read(f"configs/{name}.yaml") for name in names)
    assert train["data"] == prepare["data"] == evaluate["data"]
    assert train["examples"] == prepare["output"] == evaluate["examples"]
    assert REPOSITORY / str(tune["base"]) == CLUSTER / "configs" / "train.yaml"
    assert evaluate["members"] == {"text_llama": f"{train['output']}/member"}


def test_pipeline_runs_those_recipes_in_order() -> None:
    config = PipelineConfig.load(CLUSTER / "configs" / "pipeline.yaml")
    assert [stage.module for stage in config.stages] == [
        "training.prepare",
        "tuning.run",
        "training.run",
        "training.evaluate",
    ]
    tune = read("configs/tune.yaml")
    assert str(config.stages[2].config) == f"{tune['output']}/best.yaml"
