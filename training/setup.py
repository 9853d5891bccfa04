"""Job: a base model from a package's GGUF file as safetensors, and DeepSpeed's CPU op compiled, once per machine."""

import logging
import shutil
from pathlib import Path

from lifecycle.config import Config
from lifecycle.folders import Manifest, fingerprint, is_complete, new_folder, write_manifest
from lifecycle.jobs import run_job

logger = logging.getLogger(__name__)
BASE_MODEL_KIND = "base_model"


class SetupConfig(Config):
    """Recipe of `python -m training.setup`."""

    gguf: str  # path, or package:NAME/FILE
    base_model: Path
    build_deepspeed_op: bool = True


class BaseModelManifest(Manifest):
    """The manifest of a base model's folder."""

    source: str  # name of the GGUF file


def setup(config: SetupConfig) -> None:
    """Convert the model unless that is done, and build the op into TORCH_EXTENSIONS_DIR."""
    from lifecycle.paths import resolve_path

    gguf = resolve_path(config.gguf)
    made_from = {"gguf": gguf.name, "bytes of gguf": gguf.stat().st_size}
    identity = fingerprint(list(made_from.values()))
    if is_complete(config.base_model, BASE_MODEL_KIND, identity, made_from):
        logger.info("%s is complete already", config.base_model)
    else:
        manifest = BaseModelManifest(identity=identity, made_from=made_from, source=gguf.name)
        with new_folder(config.base_model) as folder:
            convert_gguf(gguf, folder)
            write_manifest(folder, BASE_MODEL_KIND, manifest)
    if config.build_deepspeed_op:
        from training.loop.deepspeed_op import build_cpu_op

        build_cpu_op()


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Dequantise a GGUF checkpoint to bf16 safetensors with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    logger.info("converting %s (about half a minute)", gguf.name)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16
    )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    logger.info(
        "%s written, %.0f MB", folder, sum(f.stat().st_size for f in folder.iterdir()) / 1e6
    )


def main() -> None:
    """Entry point of `python -m training.setup`."""
    if shutil.which("gcc") is None:
        raise SystemExit(
            "training.setup: gcc is missing; DeepSpeed compiles a small op with it (Debian: apt install gcc)"
        )
    run_job(SetupConfig.load, "training.setup", setup)


if __name__ == "__main__":
    main()
