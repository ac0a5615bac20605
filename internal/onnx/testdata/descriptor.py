"""Writes onnx.protodesc: ONNX's protobuf schema as a FileDescriptorSet, for the tests.

    python descriptor.py    # needs the package onnx, 1.23.2 when the file here was made
"""
import pathlib

from google.protobuf import descriptor_pb2
from onnx import onnx_data_pb2, onnx_ml_pb2

files = descriptor_pb2.FileDescriptorSet()
for module in (onnx_ml_pb2, onnx_data_pb2):
    files.file.add().ParseFromString(module.DESCRIPTOR.serialized_pb)
path = pathlib.Path(__file__).with_name("onnx.protodesc")
path.write_bytes(files.SerializeToString(deterministic=True))
