"""The files of a base model by their names and headers: whole, plain weights beside a config.json and a tokenizer."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
POINTER = b"version https://git-lfs.github.com/spec/"
POINTER_BYTES = 1024  # more than any pointer has
PLAIN = ("F64", "F32", "F16", "BF16")
# Of config.json: what bitsandbytes, GPTQ, AWQ, FP8, compressed-tensors and MLX say of weights they packed.
QUANTISED = ("quantization_config", "compression_config", "quantization")


def check_files(base_model: str | Path) -> None:
    """ValueError where a base model's folder is not there or not whole, or holds other weights than plain safetensors.

    Of the weights the headers alone are read.
    """
    folder = Path(base_model)
    if not folder.is_dir():
        raise ValueError(
            f"base_model {str(base_model)!r} is not a folder with config.json and *.safetensors"
        )
    _check_pointers(folder)
    config = _read_object(folder / CONFIG)
    files = _weight_files(folder)
    _check_plain(folder, config)
    for file in files:
        _check_header(file)
    _check_shards(folder, files)
    _check_tokenizer(folder)


def _check_pointers(folder: Path) -> None:
    """Links to files that are gone, and what `git clone` leaves of large files where Git LFS is not installed."""
    for file in sorted(folder.iterdir()):
        if not file.exists():
            raise ValueError(
                f"{file} is a link to {file.readlink()}, which is not there; copy the model anew"
            )
        if file.is_file() and file.stat().st_size <= POINTER_BYTES:
            with file.open("rb") as handle:
                is_pointer = handle.read(len(POINTER)) == POINTER
            if is_pointer:
                raise ValueError(
                    f"{file} is a pointer of Git LFS, not the file itself; run `git lfs pull` in {folder}"
                )


def _read_object(file: Path) -> dict[str, object]:
    if not file.is_file():
        raise ValueError(
            f"base_model {file.parent} is not a folder with config.json and *.safetensors: it has no {file.name}"
        )
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is cut off or damaged: {error}; copy it anew") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file} is damaged: it holds no JSON object; copy it anew")
    return found


def _weight_files(folder: Path) -> list[Path]:
    """The file, or the shards that the index lists; ValueError says what is there instead."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        return [folder / name for name in sorted(set(_weight_map(folder).values()))]
    raise ValueError(
        f"base_model {folder} is not a folder with config.json and *.safetensors: {_found(folder)}"
    )


def _found(folder: Path) -> str:
    """What a folder without weights in safetensors has instead, and what helps."""
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    gguf = [name for name in names if name.endswith(".gguf")]
    pickles = [name for name in names if name.endswith(PICKLES)]
    others = [name for name in names if name.endswith(".safetensors")]
    if "adapter_config.json" in names:
        return "it has an adapter alone; merge it into its base model and save that"
    if others:
        return f"it has {others[0]}, but neither {WEIGHTS} nor {INDEX}; copy them too"
    if gguf:
        return (
            f"it has {gguf[0]} alone, which is quantised; python -m training.setup makes safetensors of it "
            f"(gguf={folder / gguf[0]})"
        )
    if pickles:
        return (
            f"its weights are pickled ({pickles[0]}), and to read a pickle runs what its author wrote; "
            "take a revision with *.safetensors, or convert it where you trust it"
        )
    return "it has no weights"


def _weight_map(folder: Path) -> dict[str, str]:
    """Which shard holds each tensor."""
    index = _read_object(folder / INDEX)
    found = index.get("weight_map")
    if not isinstance(found, dict) or not found or "metadata" not in index:
        raise ValueError(
            f"{folder / INDEX} is damaged: it needs metadata and weight_map; copy it anew"
        )
    return {str(name): str(shard) for name, shard in found.items()}


def _check_plain(folder: Path, config: dict[str, object]) -> None:
    for key in QUANTISED:
        told = config.get(key)
        if told:
            method = told.get("quant_method", key) if isinstance(told, dict) else told
            raise ValueError(
                f"base_model {folder} is quantised: config.json has {key} ({method}); "
                "take the model in bf16, fp16 or fp32 that it was made from"
            )


def _check_header(file: Path) -> None:
    """ValueError where a file is not there, is shorter than its header says, or holds quantised weights."""
    if not file.is_file():
        raise ValueError(f"{file} is missing, though {INDEX} lists it; copy it too")
    try:
        with safe_open(file, framework="np") as tensors:
            dtypes = {name: tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise ValueError(
            f"{file} is cut off or damaged: {reason} ({file.stat().st_size} bytes); copy it anew"
        ) from None
    for name, dtype in dtypes.items():
        if name.endswith("weight") and dtype not in PLAIN:
            raise ValueError(
                f"{file}: {name} is stored as {dtype}, so the model is quantised; "
                "take the model in bf16, fp16 or fp32 that it was made from"
            )


def _check_shards(folder: Path, files: list[Path]) -> None:
    """ValueError for a tensor that the index promises and its shard does not hold."""
    if files == [folder / WEIGHTS]:
        return
    held: dict[str, set[str]] = {}
    for file in files:
        with safe_open(file, framework="np") as tensors:
            held[file.name] = set(tensors.keys())
    for name, shard in _weight_map(folder).items():
        if name not in held[shard]:
            raise ValueError(
                f"{folder / shard} has no {name}, though {INDEX} lists it there; copy both anew"
            )


def _check_tokenizer(folder: Path) -> None:
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise ValueError(
            f"base_model {folder} has no tokenizer ({TOKENIZERS[0]}, or one of {', '.join(TOKENIZERS[1:])}); "
            "copy it from where the weights come from"
        )
    for name in (TOKENIZERS[0], "tokenizer_config.json"):
        if (folder / name).is_file():
            _read_object(folder / name)
