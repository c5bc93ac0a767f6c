import msgspec
import pytest

from enginehouse.host.contributions import Contributions
from enginehouse.host.devices import Machine
from enginehouse.host.environment_need import Case, Supply
from enginehouse.host.launch_request import LaunchRequest, parse_launch
from enginehouse.host.matching import mismatches
from enginehouse.host.obstacles import judge
from enginehouse.host.options import check_options
from enginehouse.host.planning import Knowledge, Plan, make_plan
from enginehouse.sdk import (
    BadRequest,
    CannotRun,
    Device,
    EngineSpec,
    ModelFamily,
    ModelType,
    NotAllowed,
    NotSupported,
    Options,
    UnknownOption,
    Variant,
)


class ExampleOptions(Options, frozen=True, kw_only=True):
    max_batch: int = 8
    dtype: str = "auto"


SMALL = Variant(format="pytorch", size_in_billions="0_5", sources=("file:/small",), architectures=("LlamaForCausalLM",))
LARGE = Variant(format="pytorch", size_in_billions="7", sources=("file:/large",), quantization="Int4")
FAMILY = ModelFamily(name="Example", model_type="LLM", variants=(SMALL, LARGE), abilities=("chat", "generate"))
TORCH = EngineSpec(
    name="torchy",
    tasks=("generate",),
    formats=("pytorch",),
    architectures=("*ForCausalLM",),
    devices=("cuda", "cpu"),
    engine="a:B",
    options=ExampleOptions,
)
GPUS = tuple(Device(kind="cuda", index=i, free_bytes=(i + 1) * 10**9) for i in range(2))
CPU = Machine(platform="linux")
GPU = Machine(platform="linux", devices=GPUS)


def known(*engines: EngineSpec, machine: Machine = CPU, trust: bool = False, supply: Supply | None = None) -> Knowledge:
    contributions = Contributions()
    contributions.add(
        {
            "enginehouse_model_types": [ModelType(name="LLM", tasks=("chat", "generate"), abilities=("chat",))],
            "enginehouse_families": [FAMILY],
            "enginehouse_engines": list(engines),
        }
    )
    return Knowledge(
        contributions, machine, lambda family, variant, able: (able[-1], "test"), trust, supply=supply or Supply()
    )


def reasons_against(engine: EngineSpec, machine: Machine = CPU) -> list[str]:
    """Messages of everything that stands against it, its environment included."""
    case = Case(request=LaunchRequest(model_name="example"), family=FAMILY, variant=SMALL, engine=engine, device="cpu")
    return [reason.message for reason in judge(case, known(engine, machine=machine).place).reasons]


def plan(knowledge: Knowledge | None = None, **fields: object) -> Plan:
    return make_plan(LaunchRequest(model_name="example", **fields), knowledge or known(TORCH))  # type: ignore[arg-type]


def test_the_first_variant_on_the_only_engine() -> None:
    made = plan()
    assert (made.engine, made.variant, made.device, made.source) == ("torchy", SMALL, "cpu", "file:/small")
    assert made.tasks == ("generate", "chat")
    assert "only installed engine" in made.reason


def test_a_plan_survives_json() -> None:
    made = plan(options={"max_batch": "4"})
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


@pytest.mark.parametrize("size", ["0_5", "0.5", 0.5])
def test_sizes_in_every_spelling(size: object) -> None:
    assert plan(model_size_in_billions=size).variant is SMALL


@pytest.mark.parametrize("size", [7, 7.0, "7"])
def test_whole_sizes(size: object) -> None:
    assert plan(model_size_in_billions=size, quantization="int4").variant is LARGE


def test_a_variant_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(BadRequest, match=r"pytorch 0_5 none; pytorch 7 Int4"):
        plan(model_format="ggufv2")


def test_an_unknown_model_lists_the_known() -> None:
    with pytest.raises(BadRequest, match=r"'nobody'.*Known: Example"):
        make_plan(LaunchRequest(model_name="nobody"), known(TORCH))


def test_an_unknown_engine_lists_the_installed() -> None:
    with pytest.raises(CannotRun, match=r"'steam'. Installed: torchy"):
        plan(model_engine="steam")


def test_engine_names_are_matched_without_case() -> None:
    assert plan(model_engine="TORCHY").reason == "It was asked for."


def test_every_reason_is_given() -> None:
    picky = EngineSpec(
        name="picky",
        tasks=("generate",),
        formats=("ggufv2",),
        devices=("cuda",),
        platforms=("plan9",),
        requirements=("nolib>=2",),
        engine="a:B",
    )
    codes = {reason.code for reason in mismatches(picky, FAMILY, SMALL, CPU)}
    assert codes == {"format", "device", "platform"}
    with pytest.raises(CannotRun) as caught:
        plan(known(picky))
    for word in ("ggufv2", "cuda", "plan9", "nolib"):
        assert word in caught.value.message


def test_architectures_and_quantizations_count() -> None:
    odd = msgspec.structs.replace(TORCH, architectures=("Mamba*",), quantizations=("none",))
    assert {r.code for r in mismatches(odd, FAMILY, SMALL, CPU)} == {"architecture"}
    assert {r.code for r in mismatches(odd, FAMILY, LARGE, CPU)} == {"quantization"}


def test_library_versions_count() -> None:
    engine = msgspec.structs.replace(TORCH, requirements=("lib>=2", "other; sys_platform == 'nowhere'"))
    old = msgspec.structs.replace(CPU, packages={"lib": "1.9"})
    new = msgspec.structs.replace(CPU, packages={"lib": "2.1"})
    assert reasons_against(engine, old) == ["it needs lib>=2, 1.9 is installed"]
    assert reasons_against(engine, new) == []


def test_with_several_engines_a_plugin_chooses() -> None:
    second = msgspec.structs.replace(TORCH, name="second")
    made = plan(known(TORCH, second))
    assert made.engine == "second"
    assert made.reason == "Chosen by plugin test; torchy could run it too."


def test_an_accelerator_is_taken_when_there_is_one() -> None:
    assert plan(known(TORCH, machine=GPU)).devices == ("cuda:1",)  # the one with most free memory
    assert plan(known(TORCH, machine=GPU), n_gpu=None).device == "cpu"
    assert plan(known(TORCH, machine=GPU), n_gpu=2).devices == ("cuda:1", "cuda:0")
    assert plan(known(TORCH, machine=GPU), gpu_idx=[0]).devices == ("cuda:0",)


def test_each_replica_has_devices_of_its_own_while_there_are_enough() -> None:
    made = plan(known(TORCH, machine=GPU), replica=3)
    assert made.spread == (("cuda:1",), ("cuda:0",), ("cuda:1",))
    assert made.devices == ("cuda:1", "cuda:0")
    assert [made.devices_of(replica_id) for replica_id in (0, 1, 3)] == [("cuda:1",), ("cuda:0",), ("cuda:1",)]
    assert plan(replica=2).devices_of(1) == ()
    assert plan(known(TORCH, machine=GPU), gpu_idx=[0, 1], replica=2).spread == (("cuda:0",), ("cuda:1",))
    assert plan(known(TORCH, machine=GPU), gpu_idx=[0, 1], replica=3).spread[2] == ("cuda:0",)  # after it was scaled


@pytest.mark.parametrize("worker_ip", ["127.0.0.1", "localhost:9997", ["127.0.0.1:1", "[::1]:2"], "", "127.0.0.1,::1"])
def test_this_machine_may_be_named(worker_ip: object) -> None:
    assert plan(worker_ip=worker_ip).engine == "torchy"


@pytest.mark.parametrize("worker_ip", ["192.0.2.7", "127.0.0.1,192.0.2.7:80", ["elsewhere.invalid"], "::2"])
def test_another_machine_is_refused_by_name(worker_ip: object) -> None:
    with pytest.raises(BadRequest, match=r"worker_ip names (192\.0\.2\.7|elsewhere|::2)"):
        plan(worker_ip=worker_ip)


def test_replicas_may_choose_one_by_one() -> None:
    gpus = known(TORCH, machine=GPU)

    def chosen(*devices: dict[str, object], replica: int = 2) -> tuple[tuple[str, ...], ...]:
        config = [{"devices": [device]} for device in devices]
        return plan(gpus, replica=replica, replica_config=config).spread

    assert chosen({"gpu_idx": [1]}, {"n_gpu": 1}) == (("cuda:1",), ("cuda:0",))
    assert chosen({"n_gpu": "auto"}, {"gpu_idx": [1], "worker_ip": "127.0.0.1"}) == (("cuda:0",), ("cuda:1",))
    assert chosen({"gpu_idx": [0, 1]}, {"n_gpu": 2}) == (("cuda:0", "cuda:1"), ("cuda:1", "cuda:0"))
    assert chosen({"n_gpu": None}, {"n_gpu": None}) == ()
    assert chosen({"gpu_idx": [1]}, {"gpu_idx": [0]}, replica=3)[2] == ("cuda:1",)  # after it was scaled
    for wrong in ({"gpu_idx": [7]}, {"n_gpu": 3}, {"n_gpu": None}, {"worker_ip": "192.0.2.1"}):
        with pytest.raises(BadRequest):
            chosen({"gpu_idx": [1]}, wrong)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"gpu_idx": [0, 1], "replica": 3}, "3 replicas"),
        ({"gpu_idx": []}, "0 accelerators"),
        ({"gpu_idx": [0, 0]}, "twice"),
        ({"replica_config": [{"devices": [{}]}], "replica": 2}, "1 entries for 2"),
        ({"replica_config": [{"devices": []}]}, "one entry in `devices`"),
        ({"replica_config": [{"devices": [{"gpus": 1}]}]}, "gpus"),
        ({"replica_config": [{"devices": [{"gpu_idx": [0, 0]}]}]}, "twice"),
        ({"replica_config": [{"devices": [{}], "replica_uid": "a"}] * 2, "replica": 2}, "calls 2 replicas 'a'"),
        ({"replica_config": [{"devices": [{}], "replica_uid": ""}]}, "replica_uid"),
        ({"replica_config": [{"devices": [{}], "wings": 1}]}, "wings"),
        ({"replica_config": [{"devices": [{}]}], "worker_ip": "127.0.0.1"}, "either replica_config or worker_ip"),
        ({"replica_config": [{"devices": [{}]}], "n_worker": 2}, "either replica_config or n_worker"),
        ({"replica_config": [{"devices": [{}]}], "gpu_idx": 0}, "either replica_config or gpu_idx"),
        ({"replica_config": [{"devices": [{}]}], "n_gpu": 1}, "either replica_config or n_gpu"),
    ],
)
def test_devices_that_do_not_go_together_are_refused(fields: dict[str, object], word: str) -> None:
    with pytest.raises((BadRequest, NotSupported), match=word):
        parse_launch({"model_name": "m", **fields})


class LoraOptions(ExampleOptions, frozen=True, kw_only=True):
    peft_model_config: dict[str, object] | None = None


def test_lora_needs_an_engine_that_declares_it() -> None:
    config = {"lora_list": [{"lora_name": "a", "local_path": "/a"}]}
    with pytest.raises(NotSupported, match="torchy cannot load LoRA"):
        plan(peft_model_config=config)
    able = msgspec.structs.replace(TORCH, options=LoraOptions)
    assert plan(known(able), peft_model_config=config).options == {"peft_model_config": config}


@pytest.mark.parametrize("n_gpu", [0, -1, 3, "many", True])
def test_impossible_accelerators_are_refused(n_gpu: object) -> None:
    with pytest.raises(BadRequest, match="n_gpu"):
        plan(known(TORCH, machine=GPU), n_gpu=n_gpu)


def test_options_are_converted_and_checked() -> None:
    assert plan(options={"max_batch": "4"}).options == {"max_batch": 4}
    with pytest.raises(UnknownOption, match="Did you mean 'max_batch'"):
        plan(options={"max_batsh": 4})
    with pytest.raises(BadRequest, match="max_batch"):
        plan(options={"max_batch": "four"})


def test_remote_code_needs_the_servers_consent() -> None:
    with pytest.raises(NotAllowed, match="ENGINEHOUSE_TRUST_REMOTE_CODE"):
        plan(trust_remote_code=True)
    assert plan(known(TORCH, trust=True), trust_remote_code=True).request.trust_remote_code


def test_what_cannot_be_honoured_is_refused_by_name() -> None:
    with pytest.raises(NotSupported, match="n_worker is 2, but this server has one machine"):
        plan(n_worker=2)


def test_a_bare_folder_needs_no_family(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 64}')
    made = make_plan(LaunchRequest(model_name="mine", model_path=str(tmp_path)), known(TORCH))
    assert made.family.context_length == 64
    assert made.tasks == ("generate",)
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    assert make_plan(made.request, known(TORCH)).tasks == ("generate", "chat")


@pytest.mark.parametrize("place", ["/nowhere", "relative", "/" + "x" * 5000, "/nul\0byte"])
def test_a_place_that_is_not_there_is_refused(place: str) -> None:
    with pytest.raises(BadRequest, match="is not there; give an absolute path"):
        plan(model_path=place)


@pytest.mark.parametrize("content", [None, "{not json", "[]"])
def test_a_folder_that_is_no_model_is_refused(tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(BadRequest, match=r"config\.json"):
        make_plan(LaunchRequest(model_name="mine", model_path=str(tmp_path)), known(TORCH))


def test_every_field_of_the_wire_is_read() -> None:
    body = {
        "model_uid": None,
        "model_name": "m",
        "model_engine": None,
        "peft_model_config": None,
        "model_type": "LLM",
        "model_size_in_billions": "0_5",
        "model_format": None,
        "quantization": None,
        "replica": "2",
        "n_worker": None,
        "n_gpu": "auto",
        "request_limits": None,
        "worker_ip": None,
        "gpu_idx": None,
        "replica_config": None,
        "model_path": None,
        "enable_thinking": None,
        "envs": {"A": "1"},
        "max_batch": 4,
        "wait_ready": False,
    }
    request = parse_launch(body)
    assert (request.replica, request.n_worker, request.options) == (2, 1, {"max_batch": 4})


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"model_name": ""},
        {"model_name": 5},
        {"model_name": "m", "replica": 0},
        {"model_name": "m", "replica": True},
        {"model_name": "m", "replica": 1.5},
        {"model_name": "m", "model_uid": "a/b"},
        {"model_name": "m", "model_uid": "x" * 101},
        {"model_name": "m", "model_uid": " m"},
        {"model_name": "m", "model_uid": "m-rep0"},
        {"model_name": "m", "model_size_in_billions": "big"},
        {"model_name": "m", "envs": {"A": 1}},
    ],
)
def test_bad_launch_bodies_are_refused(body: object) -> None:
    with pytest.raises(BadRequest):
        parse_launch(body)


def test_weights_elsewhere_say_which_variant_of_a_known_family_they_are(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["OtherForCausalLM"]}')
    made = plan(model_path=str(tmp_path))
    assert made.family.name == FAMILY.name and made.family.abilities == FAMILY.abilities
    assert made.variant.architectures == ("OtherForCausalLM",) and made.source == f"file:{tmp_path}"
    assert plan(model_path=str(tmp_path), quantization=SMALL.quantization).variant == SMALL
    (tmp_path / "config.json").unlink()
    assert plan(model_path=str(tmp_path)).variant == SMALL


def test_a_wrong_field_of_a_launch_is_named() -> None:
    with pytest.raises(BadRequest, match="replica: Expected `int` >= 1") as caught:
        parse_launch({"model_name": "Example", "replica": 0})
    assert caught.value.param == "replica"
    with pytest.raises(BadRequest, match="is wrong: max_batch: Expected `int`") as caught:
        check_options(TORCH, {"max_batch": "many"})
    assert caught.value.param == "max_batch"
