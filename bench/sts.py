"""Measures a sentence encoder on STS-B, and makes calibration samples for it.

    pip install onnxruntime numpy
    python bench/sts.py samples VOCAB.txt TRAIN.csv OUT/ [300]                 # one npz for each sentence
    python bench/sts.py score VOCAB.txt DEV.csv FLOAT.onnx QUANTIZED.onnx …    # Spearman's rank correlation

Sentences are split as BERT's uncased vocabulary wants them, their last hidden states averaged, and pairs
compared by cosine. Models run in ONNX Runtime without optimisations, which computes what the file says.
"""
import csv
import os
import sys
import unicodedata

import numpy as np


def words(text):
    word = ""
    for c in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(c)
        if kind == "Mn":
            continue
        if c.isspace() or kind.startswith("P") or 32 < ord(c) < 127 and not c.isalnum():
            if word:
                yield word
            word = ""
            if not c.isspace():
                yield c
        else:
            word += c
    if word:
        yield word


class Vocabulary:
    def __init__(self, path):
        self.ids = {line.rstrip("\n"): i for i, line in enumerate(open(path, encoding="utf-8"))}

    def pieces(self, word):
        start, out = 0, []
        while start < len(word):
            end = len(word)
            while end > start and (("##" if start else "") + word[start:end]) not in self.ids:
                end -= 1
            if end == start:
                return [self.ids["[UNK]"]]
            out.append(self.ids[("##" if start else "") + word[start:end]])
            start = end
        return out

    def feeds(self, text):
        ids = [self.ids["[CLS]"]] + [p for w in words(text) for p in self.pieces(w)][:126] + [self.ids["[SEP]"]]
        x = np.array([ids], np.int64)
        return {"input_ids": x, "attention_mask": np.ones_like(x), "token_type_ids": np.zeros_like(x)}


def ranks(x):
    order = np.argsort(x, kind="stable")
    r = np.empty(len(x))
    r[order] = np.arange(len(x))
    for v in np.unique(x):
        r[x == v] = r[x == v].mean()
    return r


def score(vocab, rows, path):
    import onnxruntime as ort

    o = ort.SessionOptions()
    o.intra_op_num_threads = 1
    o.graph_optimization_level, o.log_severity_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL, 3
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])

    def embed(text):
        v = s.run(None, vocab.feeds(text))[0][0].mean(0)
        return v / np.linalg.norm(v)

    cosine = [float(embed(a) @ embed(b)) for a, b, _ in rows]
    return np.corrcoef(ranks(np.array(cosine)), ranks(np.array([float(g) for _, _, g in rows])))[0, 1]


def main():
    what, vocab, rows = sys.argv[1], Vocabulary(sys.argv[2]), list(csv.reader(open(sys.argv[3], encoding="utf-8")))
    if what == "samples":
        os.makedirs(sys.argv[4], exist_ok=True)
        n = int(sys.argv[5]) if len(sys.argv) > 5 else 300
        for i, row in enumerate(rows[:: max(1, len(rows) // n)][:n]):
            np.savez(os.path.join(sys.argv[4], f"{i:05}.npz"), **vocab.feeds(row[0]))
        return
    float_score = None
    for path in sys.argv[4:]:
        r = score(vocab, rows, path)
        float_score = r if float_score is None else float_score
        print(f"{path}: Spearman {r:.4f}, drop {float_score - r:+.4f}", flush=True)


if __name__ == "__main__":
    main()
