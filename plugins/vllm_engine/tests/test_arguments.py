"""From a worker's order to vLLM's command line."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from enginehouse.sdk import BadRequest, CannotRun, RunnerOrder, Sampling, WorkerOrder
from enginehouse_vllm.arguments import Launch, launch_of, options_of
from enginehouse_vllm.checkpoint import adapter_rank, cache_numbers, default_sampling, stored_dtype
from enginehouse_vllm.plugin import command

CONFIG = {"hidden_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3,
          "max_position_embeddings": 256}  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def launched(model: Path, runner: dict[str, Any] | None = None, devices: str = "", **options: Any) -> Launch:
    made = order(model, runner, devices, **options)
    assert made.runner is not None
    return launch_of(made, made.runner, options_of(made.runner))


def order(model: Path, runner: dict[str, Any] | None = None, devices: str = "", **options: Any) -> WorkerOrder:
    fields = {"tasks": ("generate", "chat"), "device": "cuda" if devices else "cpu", **(runner or {})}
    return WorkerOrder(
        worker_id="w",
        model_uid="mine",
        token="t",
        folder=str(model.parent),
        socket="/s/http.sock",
        control="/s/keeper.sock",
        argv=("/env/bin/python", "-m", "enginehouse.runner"),
        environment={"CUDA_VISIBLE_DEVICES": devices},
        runner=RunnerOrder(engine="", options="", model_path=str(model), option_values=options, **fields),
    )


def value_of(launch: Launch, flag: str) -> str | None:
    """What follows a flag; "" for one that stands alone, None where it is not there."""
    if flag not in launch.argv:
        return None
    after = launch.argv[launch.argv.index(flag) + 1 :]
    return after[0] if after and not after[0].startswith("--") else ""


@pytest.mark.parametrize(
    ("devices", "may_sleep", "option", "sleeps"),
    [
        ("0", True, None, True),
        ("0", False, None, False),
        ("0", True, False, False),
        ("0", False, True, True),
        ("", True, None, False),
        ("", True, False, False),
    ],
)
def test_it_prepares_to_sleep_on_a_device(
    model: Path, devices: str, may_sleep: bool, option: bool | None, sleeps: bool
) -> None:
    launch = launched(model, {"may_sleep": may_sleep}, devices, enable_sleep_mode=option)
    assert (value_of(launch, "--enable-sleep-mode") == "") is sleeps


def test_a_cpu_has_nothing_to_give_back(model: Path) -> None:
    with pytest.raises(BadRequest, match="on a device only") as caught:
        launched(model, enable_sleep_mode=True)
    assert caught.value.param == "enable_sleep_mode"


def test_the_worker_is_started_in_the_orders_environment(model: Path) -> None:
    assert command(order(model)) == ("/env/bin/python", "-P", "-m", "enginehouse_vllm.serve", str(model.parent))


def test_it_listens_on_the_workers_socket_under_the_models_uid(model: Path) -> None:
    launch = launched(model)
    assert value_of(launch, "--uds") == "/s/http.sock"
    assert value_of(launch, "--served-model-name") == "mine"
    assert value_of(launch, "--model") == str(model)
    assert value_of(launch, "--middleware") == "enginehouse_vllm.wire.Wire"


@pytest.mark.parametrize(
    ("options", "flag", "value"),
    [
        ({"max_model_len": 100}, "--max-model-len", "100"),
        ({"dtype": "bfloat16"}, "--dtype", "bfloat16"),
        ({"quantization": "awq"}, "--quantization", "awq"),
        ({"gpu_memory_utilization": 0.5}, "--gpu-memory-utilization", "0.5"),
        ({"max_num_seqs": "8"}, "--max-num-seqs", "8"),
        ({"kv_cache_dtype": "fp8"}, "--kv-cache-dtype", "fp8"),
        ({"enforce_eager": False}, "--no-enforce-eager", ""),
        ({"enable_prefix_caching": True}, "--enable-prefix-caching", ""),
        ({"pipeline_parallel_size": 2}, "--pipeline-parallel-size", "2"),
        ({"speculative_config": {"method": "ngram"}}, "--speculative-config", '{"method": "ngram"}'),
        ({"extra": {"block-size": 32}}, "--block-size", "32"),
        ({"extra": {"--async_scheduling": False}}, "--no-async-scheduling", ""),
        ({"extra": {"compilation_config": {"level": 0}}}, "--compilation-config", '{"level": 0}'),
    ],
    ids=str,
)  # fmt: skip
def test_options_are_flags(model: Path, options: dict[str, Any], flag: str, value: str) -> None:
    assert value_of(launched(model, **options), flag) == value


def test_what_nobody_says_is_left_to_vllm(model: Path) -> None:
    launch = launched(model)
    for flag in ("--max-model-len", "--max-num-seqs", "--quantization", "--enable-lora", "--speculative-config"):
        assert value_of(launch, flag) is None


@pytest.mark.parametrize("options", [{"max_model_len": 0}, {"gpu_memory_utilization": 2}, {"nothing": 1}], ids=str)
def test_a_wrong_option_is_refused(model: Path, options: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        launched(model, **options)


@pytest.mark.parametrize("flag", ["trust_remote_code", "--uds", "middleware"])
def test_what_the_launch_decides_is_no_extra(model: Path, flag: str) -> None:
    with pytest.raises(BadRequest, match="extra"):
        launched(model, extra={flag: True})


def test_a_model_that_vllm_has_no_code_for_on_a_cpu(model: Path) -> None:
    (model / "config.json").write_text(json.dumps({**CONFIG, "head_dim": 16}))
    with pytest.raises(CannotRun, match="heads have 16 numbers"):
        launched(model)
    assert launched(model, devices="0").argv


def test_a_cpu_gets_what_suits_it(model: Path) -> None:
    launch = launched(model)
    assert value_of(launch, "--enforce-eager") == ""
    assert value_of(launch, "--distributed-executor-backend") == "uni"
    assert int(value_of(launch, "--kv-cache-memory-bytes") or 0) == 16 * 384 * 2 * (256 + 512)
    assert launch.variables["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"


def test_the_cache_of_a_cpu_is_what_the_launch_says(model: Path) -> None:
    assert value_of(launched(model, kv_cache_gib=2), "--kv-cache-memory-bytes") == str(2 * 2**30)


def test_devices_share_each_layer(model: Path) -> None:
    assert value_of(launched(model, devices="0,1,2,3"), "--tensor-parallel-size") == "4"
    halves = launched(model, devices="0,1,2,3", pipeline_parallel_size=2)
    assert value_of(halves, "--tensor-parallel-size") == "2"
    assert value_of(halves, "--distributed-executor-backend") is None
    assert value_of(launched(model, devices="0"), "--kv-cache-memory-bytes") is None
    assert "VLLM_TARGET_DEVICE" not in launched(model, devices="0").variables


def test_weights_stored_in_float32_stay_so_on_a_cpu(model: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert stored_dtype(model) == "float32"
    assert value_of(launched(model), "--dtype") == "float32"
    assert value_of(launched(model, devices="0"), "--dtype") == "auto"
    (model / "config.json").write_text(json.dumps({**CONFIG, "torch_dtype": "bfloat16"}))
    assert value_of(launched(model), "--dtype") == "auto"


@pytest.mark.parametrize("tasks", [("embed",), ("rerank",)])
def test_vectors_and_scores_come_from_the_pooling_runner(model: Path, tasks: tuple[str, ...]) -> None:
    launch = launched(model, {"tasks": tasks})
    assert value_of(launch, "--runner") == "pooling"
    assert value_of(launch, "--structured-outputs-config") is None


def test_a_familys_chat_template_is_a_file_of_the_worker(model: Path) -> None:
    assert value_of(launched(model, {"chat_template": "{{ x }}"}), "--chat-template") == str(
        model.parent / "chat_template.jinja"
    )


def test_remote_code_is_trusted_only_where_the_launch_says_so(model: Path) -> None:
    assert "--trust-remote-code" not in launched(model).argv
    assert "--trust-remote-code" in launched(model, {"trust_remote_code": True}).argv


def test_loras(model: Path, tmp_path: Path) -> None:
    for name, rank in (("a", 4), ("b", 12)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"r": rank}))
    loras = [{"lora_name": name, "local_path": str(tmp_path / name)} for name in "ab"]
    launch = launched(model, peft_model_config={"lora_list": loras})
    assert value_of(launch, "--max-lora-rank") == "16" and value_of(launch, "--max-loras") == "2"
    start = launch.argv.index("--lora-modules")
    assert [json.loads(one)["name"] for one in launch.argv[start + 1 : start + 3]] == ["a", "b"]


def test_a_lora_may_not_be_named_as_the_model(model: Path) -> None:
    loras = [{"lora_name": "mine", "local_path": "/x"}]
    with pytest.raises(BadRequest, match="named 'mine'"):
        launched(model, peft_model_config={"lora_list": loras})


def test_what_a_checkpoint_says(model: Path) -> None:
    assert cache_numbers(model) == 2 * 3 * 2 * 32
    assert adapter_rank(model) is None
    assert default_sampling(model) == Sampling()
    (model / "generation_config.json").write_text(json.dumps({"do_sample": False, "repetition_penalty": 1.1}))
    assert default_sampling(model) == Sampling(temperature=0.0, repetition_penalty=1.1)
    (model / "config.json").write_text("no json")
    assert cache_numbers(model) is None and stored_dtype(model) is None


def test_the_order_survives_its_file(model: Path) -> None:
    made = order(model, max_num_seqs=4)
    assert msgspec.json.decode(msgspec.json.encode(made), type=WorkerOrder) == made
