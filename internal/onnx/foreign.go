package onnx

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"lowbit/internal/fault"
)

// A signature tells a file of another kind by bytes at a fixed place.
type signature struct {
	at    int
	magic string
	what  string
	hint  string
}

const exportHint = "export the model to ONNX first"

var signatures = []signature{
	{0, "version https://git-lfs", "a Git LFS pointer, not a model", "run 'git lfs pull' to fetch the file itself"},
	{0, "\x89PNG\r\n", "a PNG image", ""},
	{0, "\xff\xd8\xff", "a JPEG image", ""},
	{0, "GIF8", "a GIF image", ""},
	{0, "RIFF", "a RIFF file (WebP, WAV)", ""},
	{0, "%PDF-", "a PDF document", ""},
	{0, "\x7fELF", "an ELF executable", ""},
	{0, "MZ\x90", "a Windows executable", ""},
	{0, "\x93NUMPY", "a NumPy array", "give it as data, with `data` or `input`"},
	{0, "\x89HDF\r\n", "an HDF5 file (Keras)", exportHint},
	{0, "GGUF", "a GGUF file (llama.cpp)", exportHint},
	{4, "TFL3", "a TensorFlow Lite model", exportHint},
	{4, "ORTM", "a model in ONNX Runtime's own format", "give the .onnx file that it was made from"},
	{8, "{\"", "a safetensors file", exportHint},
	{0, "PK\x03\x04", "a zip archive (npz, PyTorch, Keras)", "unpack it, or export the model to ONNX first"},
	{0, "\x1f\x8b\x08", "a gzip file", "unpack it first"},
	{0, "BZh", "a bzip2 file", "unpack it first"},
	{0, "\xfd7zXZ", "an xz file", "unpack it first"},
	{0, "\x28\xb5\x2f\xfd", "a Zstandard file", "unpack it first"},
	{257, "ustar", "a tar archive", "unpack it first"},
	{0, "\x80\x02", "a Python pickle", exportHint},
	{0, "\x80\x04", "a Python pickle", exportHint},
	{0, "<?xml", "an XML file (OpenVINO)", "give the .onnx file that it was made from"},
	{0, "<!doctype", "an HTML page", "the download gave a web page instead of the file"},
	{0, "<html", "an HTML page", "the download gave a web page instead of the file"},
	{0, "{\"", "a JSON file", ""},
	{0, "{\n", "a JSON file", ""},
	{0, "{\r", "a JSON file", ""},
	{0, "{ ", "a JSON file", ""},
	{0, "[{", "a JSON file", ""},
	{0, "#!", "a script", ""},
}

// isText says whether bytes begin with a line of text, or are nothing else. A model may do so too, but for a damaged one it is odd.
func isText(b []byte) bool {
	for i := 0; i < min(len(b), 256); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) && !strings.ContainsRune("\t\r\n\f", r) {
			return false
		}
		i += n
	}
	return true
}

// foreign recognises files of other kinds, so that the error can say what was given.
func foreign(root string, b []byte) error {
	if len(b) == 0 {
		return fault.Invalidf(root, "the file is empty").WithHint("it was perhaps not fetched to its end")
	}
	lower := bytes.ToLower(bytes.TrimLeft(b[:min(len(b), 64)], " \t\r\n\ufeff"))
	const firstTag = 0x08 // of ir_version, with which a model starts: what follows may be any text
	for _, s := range signatures {
		if s.at > 0 && b[0] == firstTag {
			continue
		}
		found := len(b) >= s.at+len(s.magic) && string(b[s.at:s.at+len(s.magic)]) == s.magic
		text := s.at == 0 && s.magic[0] >= ' ' && s.magic[0] < 0x7f
		if found || text && bytes.HasPrefix(lower, []byte(s.magic)) {
			e := fault.Invalidf(root, "this is %s", s.what)
			e.Hint = s.hint
			return e
		}
	}
	return nil
}
