"""Images as ImageNet's pre-processing makes them."""
import os

import numpy as np
from PIL import Image


def folder(path):
    return sorted(os.path.join(d, f) for d, _, names in os.walk(path) for f in names if f.endswith((".jpg", ".jpeg", ".png")))


def load(path, side=224):
    """Returns (1,3,side,side): short side 256, then the middle; of another side the whole image."""
    im = Image.open(path).convert("RGB")
    if side != 224:
        return normal(im.resize((side, side), Image.BILINEAR))
    s = 256 / min(im.size)
    im = im.resize((round(im.width * s), round(im.height * s)), Image.BILINEAR)
    x, y = (im.width - 224) // 2, (im.height - 224) // 2
    return normal(im.crop((x, y, x + 224, y + 224)))


def normal(im):
    a = np.asarray(im, np.float32) / 255
    return ((a - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1)[None].astype(np.float32)
