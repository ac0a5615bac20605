package onnx

import (
	"bytes"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// A message is a protobuf message being written. Large blocks of data are not copied into it:
// it remembers where they go.
type message struct {
	buf    []byte
	splice []splice
	extra  int64          // bytes of all splices
	done   func(b []byte) // is told of data that was written; may be nil
}

// A splice is data that goes in front of buf[at:].
type splice struct {
	at   int
	data []byte
}

// spliceMin is the size from which data is spliced in.
const spliceMin = 1 << 10

func (m *message) size() int64 { return int64(len(m.buf)) + m.extra }

func (m *message) varint(num protowire.Number, v int64) {
	m.buf = protowire.AppendTag(m.buf, num, protowire.VarintType)
	m.buf = protowire.AppendVarint(m.buf, uint64(v))
}

// number writes v unless it is zero.
func (m *message) number(num protowire.Number, v int64) {
	if v != 0 {
		m.varint(num, v)
	}
}

func (m *message) float(num protowire.Number, v float32) {
	m.buf = protowire.AppendTag(m.buf, num, protowire.Fixed32Type)
	m.buf = protowire.AppendFixed32(m.buf, math.Float32bits(v))
}

// str writes s, even if it is empty.
func (m *message) str(num protowire.Number, s string) {
	m.buf = protowire.AppendTag(m.buf, num, protowire.BytesType)
	m.buf = protowire.AppendString(m.buf, s)
}

// text writes s unless it is empty.
func (m *message) text(num protowire.Number, s string) {
	if s != "" {
		m.str(num, s)
	}
}

func (m *message) strs(num protowire.Number, list []string) {
	for _, s := range list {
		m.str(num, s)
	}
}

// data writes bytes; large ones share memory with b until the message is written.
func (m *message) data(num protowire.Number, b []byte) {
	m.buf = protowire.AppendTag(m.buf, num, protowire.BytesType)
	m.buf = protowire.AppendVarint(m.buf, uint64(len(b)))
	if len(b) < spliceMin {
		m.buf = append(m.buf, b...)
		return
	}
	m.splice = append(m.splice, splice{len(m.buf), b})
	m.extra += int64(len(b))
}

// sub writes another message as a field.
func (m *message) sub(num protowire.Number, s *message) {
	m.buf = protowire.AppendTag(m.buf, num, protowire.BytesType)
	m.buf = protowire.AppendVarint(m.buf, uint64(s.size()))
	for _, p := range s.splice {
		m.splice = append(m.splice, splice{len(m.buf) + p.at, p.data})
	}
	m.buf = append(m.buf, s.buf...)
	m.extra += s.extra
}

// raw appends fields that are kept as bytes.
func (m *message) raw(b []byte) { m.buf = append(m.buf, b...) }

// WriteTo writes the message with its spliced data.
func (m *message) WriteTo(w io.Writer) (int64, error) {
	total, at := int64(0), 0
	put := func(b []byte) error {
		n, err := w.Write(b)
		total += int64(n)
		return err
	}
	for _, s := range m.splice {
		if err := put(m.buf[at:s.at]); err != nil {
			return total, err
		}
		if err := put(s.data); err != nil {
			return total, err
		}
		if m.done != nil {
			m.done(s.data)
		}
		at = s.at
	}
	return total, put(m.buf[at:])
}

// bytes returns the message in one piece.
func (m *message) bytes() ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(m.size()))
	_, err := m.WriteTo(&b)
	return b.Bytes(), err
}
