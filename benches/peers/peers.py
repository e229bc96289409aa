"""Measures transformers and vLLM on this machine's CUDA device, with random weights in a known shape.

    python3 benches/peers/peers.py [--shape mistral-7b] [--quick] [--peer transformers|vllm] [--help]

Prints a JSON object a line: {"peer", "name", "unit", "samples"} for a figure, {"peer", "skipped"} for what cannot be
measured here and why, {"progress"} for people. Times are milliseconds of whole calls, warm-up rounds not among them.
What is measured has the names of `attentionstore-bench engine`, so that figures stand beside each other.
"""

import argparse
import importlib.util
import json
import os
import tempfile
import time
from pathlib import Path

SHAPES = Path(__file__).resolve().parents[2] / "crates/model/src/loader/random/shapes.json"
PROMPTS = (512, 2048, 8192, 32768)
BATCHES = (1, 16, 64)
CONTEXT = 1024
HISTORIES = (2048, 8192, 32768)
NEW_TOKENS = 64
DECODE_STEPS = 32
TOKEN_IDS = 250


def say(**line):
    print(json.dumps(line), flush=True)


def tokens(count, salt):
    """Different for every salt, so that nothing is found in a cache by accident."""
    return [(at * 31 + salt * 7 + at // TOKEN_IDS * salt) % TOKEN_IDS for at in range(count)]


class Figures:
    """Repeats a measurement and says what came out."""

    def __init__(self, peer, rounds):
        self.peer = peer
        self.rounds = rounds
        self.salt = 0

    def measure(self, name, call, warm_ups=2):
        """`call` gets a fresh salt and returns milliseconds, or a list of them."""
        say(progress=f"{self.peer}: {name}")
        samples = []
        for round_number in range(warm_ups + self.rounds):
            self.salt += 1
            times = call(self.salt)
            if round_number >= warm_ups:
                samples.extend(times if isinstance(times, list) else [times])
        say(peer=self.peer, name=name, unit="ms", samples=samples)

    def skip(self, name, error):
        say(peer=f"{self.peer}, {name}", skipped=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


class Transformers:
    """The reference implementation with torch's own attention (sdpa)."""

    def __init__(self, fields, device):
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        self.torch = torch
        self.device = device
        fields = dict(fields)
        config = AutoConfig.for_model(fields.pop("model_type"), **fields)
        previous = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device(device):
                self.model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
        finally:
            torch.set_default_dtype(previous)

    def ids(self, rows):
        return self.torch.tensor(rows, device=self.device)

    def forward(self, ids, cache=None):
        """One call up to the greedy tokens and their cache."""
        with self.torch.inference_mode():
            out = self.model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            return out.logits[:, -1].argmax(-1, keepdim=True), out.past_key_values

    def synchronize(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def timed(self, call):
        self.synchronize()
        start = time.perf_counter()
        result = call()
        self.synchronize()
        return (time.perf_counter() - start) * 1e3, result

    def prefill(self, count):
        return lambda salt: self.timed(lambda: self.forward(self.ids([tokens(count, salt)])))[0]

    def decode(self, batch):
        def steps(salt):
            token, cache = self.forward(self.ids([tokens(CONTEXT, salt + row) for row in range(batch)]))
            times = []
            for _ in range(DECODE_STEPS):
                elapsed, (token, cache) = self.timed(lambda: self.forward(token, cache))
                times.append(elapsed)
            return times[3:]

        return steps

    def layers(self, cache):
        """Keys and values by layer, as the versions of transformers store them."""
        if hasattr(cache, "layers"):
            return [(layer.keys, layer.values) for layer in cache.layers]
        return list(zip(cache.key_cache, cache.value_cache))

    def returning(self, history):
        """The history lies in pinned host memory; all of it is copied, then the new tokens are computed."""
        from transformers import DynamicCache

        _, cache = self.forward(self.ids([tokens(history, 1)]))
        to_host = (lambda tensor: tensor.cpu().pin_memory()) if self.device == "cuda" else (lambda tensor: tensor.clone())
        to_device = lambda tensor: tensor.to(self.device, non_blocking=True, copy=True)
        host = [(to_host(keys), to_host(values)) for keys, values in self.layers(cache)]
        del cache

        def turn(salt):
            new = self.ids([tokens(NEW_TOKENS, salt)])

            def load_and_compute():
                cache = DynamicCache()
                for layer, (keys, values) in enumerate(host):
                    cache.update(to_device(keys), to_device(values), layer)
                return self.forward(new, cache)

            return self.timed(load_and_compute)[0]

        return turn

    def close(self):
        del self.model
        if self.device == "cuda":
            self.torch.cuda.empty_cache()


class Vllm:
    """vLLM in this process, with dummy weights; its prefix cache keeps histories on the card."""

    def __init__(self, fields, device):
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        from vllm import LLM, SamplingParams

        self.params = lambda count: SamplingParams(temperature=0.0, max_tokens=count, ignore_eos=True, detokenize=False)
        self.folder = tempfile.TemporaryDirectory(prefix="attentionstore-peers-")
        classes = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"}
        config = dict(fields, architectures=[classes[fields["model_type"]]], torch_dtype="bfloat16", hidden_act="silu")
        (Path(self.folder.name) / "config.json").write_text(json.dumps(config))
        longest = max(*PROMPTS, *HISTORIES) + NEW_TOKENS + DECODE_STEPS
        self.llm = LLM(
            model=self.folder.name,
            load_format="dummy",
            skip_tokenizer_init=True,
            dtype="bfloat16",
            max_model_len=longest,
            enable_prefix_caching=True,
            gpu_memory_utilization=0.85,
        )

    def generate(self, prompts, count):
        start = time.perf_counter()
        self.llm.generate([{"prompt_token_ids": ids} for ids in prompts], self.params(count), use_tqdm=False)
        return (time.perf_counter() - start) * 1e3

    def prefill(self, count):
        return lambda salt: self.generate([tokens(count, salt)], 1)

    def decode(self, batch):
        def steps(salt):
            prompts = [tokens(CONTEXT, salt * 64 + row) for row in range(batch)]
            # The second call finds the prompts in the prefix cache: what is left is decoding.
            one = self.generate(prompts, 1)
            one = self.generate(prompts, 1)
            return (self.generate(prompts, DECODE_STEPS + 1) - one) / DECODE_STEPS

        return steps

    def returning(self, history):
        first = tokens(history, 1)
        self.generate([first], 1)
        return lambda salt: self.generate([first + tokens(NEW_TOKENS, salt)], 1)

    def close(self):
        self.folder.cleanup()


def measure(peer, make, fields, options):
    figures = Figures(peer, 2 if options.quick else 5)
    longest = fields["max_position_embeddings"] - NEW_TOKENS - DECODE_STEPS
    subject = make(fields, options.device)
    where = "from its gpu cache" if peer == "vllm" else "from host memory"
    cases = [(f"prefill/{n} tokens", lambda n=n: subject.prefill(n)) for n in options.prompts if n <= longest]
    cases += [(f"decode/batch {n} at {CONTEXT}", lambda n=n: subject.decode(n)) for n in options.batches]
    cases += [
        (f"returning/{n} + {NEW_TOKENS} {where}", lambda n=n: subject.returning(n)) for n in options.histories if n <= longest
    ]
    for name, prepare in cases:
        try:
            figures.measure(name, prepare())
        except Exception as error:  # One case that does not fit must not cost the others.
            figures.skip(name, error)
    subject.close()


def reason_to_skip(module, device):
    """None if the peer can be measured."""
    if importlib.util.find_spec(module) is None:
        return f"{module} is not installed"
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    import torch

    if device == "cpu":
        return "it is measured on CUDA devices only" if module == "vllm" else None
    return None if torch.cuda.is_available() else "there is no CUDA device"


def numbers(text):
    return [int(part) for part in text.split(",") if part]


def main():
    shapes = json.loads(SHAPES.read_text())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(shapes), default="mistral-7b")
    parser.add_argument("--peer", choices=("transformers", "vllm"))
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to try the script, with small cases")
    parser.add_argument("--prompts", type=numbers, default=PROMPTS, metavar="N,N", help="prompt lengths")
    parser.add_argument("--batches", type=numbers, default=BATCHES, metavar="N,N", help="decode batches")
    parser.add_argument("--histories", type=numbers, default=HISTORIES, metavar="N,N", help="histories of a returning turn")
    options = parser.parse_args()
    for peer, make in (("transformers", Transformers), ("vllm", Vllm)):
        if options.peer not in (None, peer):
            continue
        reason = reason_to_skip(peer, options.device)
        if reason is not None:
            say(peer=peer, skipped=reason)
            continue
        try:
            measure(peer, make, shapes[options.shape], options)
        except Exception as error:  # A peer that cannot start is skipped like one that is not there.
            say(peer=peer, skipped=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
