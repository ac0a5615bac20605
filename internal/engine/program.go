package engine

import (
	"context"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// A step is one piece of work of a program, cut into independent parts. Its results do not depend
// on the number of parts.
type step struct {
	node   *node
	kernel string // what computes it, for people
	macs   int64
	parts  int
	run    func(f *frame, part int) error

	in, out []*slot
	over    *slot // the operand whose memory the result may take: no element is read once it is written; nil: none
}

func (s *step) label() string {
	if s.node == nil {
		return s.kernel
	}
	return s.node.onnx.Label()
}

// A program is a network compiled for one set of input shapes. It is read-only and may be shared.
type program struct {
	slots   []*slot
	steps   []*step
	inputs  []port
	outputs []port
	arena   int
	packed  int // weights packed in each run

	mu   sync.Mutex
	free []*frame // frames that no run uses
}

// A port joins a value of the caller and a slot.
type port struct {
	name  string
	slot  *slot
	fresh bool // an output's tensor must be copied out of memory that is not the caller's
}

// A frame is the memory of one run.
type frame struct {
	prog  *program
	vals  []*tensor.Tensor // by slot
	arena []byte
	packs []any // *kernel.PackedF32 or *kernel.GroupedF32: weights that are packed in each run
	ctx   context.Context
	crew  *crew // nil: one thread
	watch func(name string, t *tensor.Tensor)
	times []time.Duration           // by step, where asked for
	into  map[string]*tensor.Tensor // where outputs may be written
}

// keptFrames is how many unused frames a program keeps.
const keptFrames = 4

// arenaRoom is how many times too large the memory that another session left may be for a frame.
const arenaRoom = 4

func (p *program) frame() *frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		f := p.free[n-1]
		p.free = p.free[:n-1]
		return f
	}
	f := &frame{prog: p, vals: make([]*tensor.Tensor, len(p.slots)), arena: tensor.ScratchBytes(p.arena, arenaRoom), packs: make([]any, p.packed)}
	for _, s := range p.slots {
		switch s.root.place {
		case inArena:
			end := s.root.offset + s.bytes
			f.vals[s.id] = s.tensor(f.arena[s.root.offset:end:min(end+arenaSlack, len(f.arena))])
		case inConst:
			f.vals[s.id] = s.konst
		}
	}
	return f
}

// recycle keeps a frame for another run, without what belongs to the caller.
func (p *program) recycle(f *frame) {
	for _, s := range p.slots {
		if s.root.place != inArena && s.root.place != inConst {
			f.vals[s.id] = nil
		}
	}
	f.ctx, f.crew, f.watch, f.times, f.into = nil, nil, nil, nil, nil
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < keptFrames {
		p.free = append(p.free, f)
	}
}

// close recycles the memory of frames that no run uses.
func (p *program) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.free {
		tensor.RecycleBytes(f.arena)
	}
	p.free = nil
}

// bind sets the tensor of a root slot and of its views.
func (f *frame) bind(s *slot, t *tensor.Tensor) {
	f.vals[s.id] = t
	for _, v := range s.views {
		f.vals[v.id] = &tensor.Tensor{DType: v.dtype, Shape: v.shape, Raw: t.Raw, Str: t.Str}
	}
}

// output returns the tensor for an output in slot s: of the memory that the caller gave for it, unless that is of no use or
// an input or another output lies there, or a new one.
func (f *frame) output(name string, s *slot, in map[string]*tensor.Tensor) *tensor.Tensor {
	t := f.into[name]
	if t == nil || t.Kind != tensor.Dense || t.DType != s.dtype || !sameShape(t.Shape, s.shape) || len(t.Raw) == 0 || len(t.Raw) != s.dtype.ByteLen(t.Len()) || begin(t.Raw)%outputAlign != 0 {
		return tensor.Scratch(s.dtype, s.shape...)
	}
	for _, u := range in {
		if overlap(t.Raw, u) {
			return tensor.Scratch(s.dtype, s.shape...)
		}
	}
	for other, u := range f.into {
		if other != name && overlap(t.Raw, u) {
			return tensor.Scratch(s.dtype, s.shape...)
		}
	}
	return &tensor.Tensor{DType: s.dtype, Shape: t.Shape, Raw: t.Raw}
}

// outputAlign is where outputs have to begin so that elements of every type can be written in place.
const outputAlign = 8

// overlap says whether a tensor, or those in it, lies in b.
func overlap(b []byte, t *tensor.Tensor) bool {
	if t == nil {
		return false
	}
	for _, item := range t.Items {
		if overlap(b, item) {
			return true
		}
	}
	return len(t.Raw) > 0 && begin(b) < begin(t.Raw)+uintptr(len(t.Raw)) && begin(t.Raw) < begin(b)+uintptr(len(b))
}

func begin(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

// f32 returns the elements of a float slot.
func (f *frame) f32(s *slot) []float32 { return tensor.Of[float32](f.vals[s.id]) }

// s32 returns the elements of an int32 slot.
func (f *frame) s32(s *slot) []int32 { return tensor.Of[int32](f.vals[s.id]) }

// u8 returns the bytes of a slot.
func (f *frame) u8(s *slot) []byte { return f.vals[s.id].Raw }

// execute runs the program on f, whose inputs are bound. A nil crew means one thread.
func (p *program) execute(f *frame, c *crew) error {
	f.crew = c
	for i, s := range p.steps {
		if f.ctx.Err() != nil {
			return context.Cause(f.ctx)
		}
		var start time.Time
		if f.times != nil {
			start = time.Now()
		}
		if err := s.all(f, c); err != nil {
			return err
		}
		if f.times != nil {
			f.times[i] = time.Since(start)
		}
	}
	return nil
}

func (s *step) all(f *frame, c *crew) error {
	if c != nil && s.parts > 1 {
		return c.do(s, f)
	}
	for i := range s.parts {
		if err := s.part(f, i); err != nil {
			return err
		}
	}
	return nil
}

// run evaluates the program for inputs of the right shapes.
func (p *program) run(ctx context.Context, in map[string]*tensor.Tensor, c *crew, prepare func(*frame)) (map[string]*tensor.Tensor, error) {
	f := p.frame()
	f.ctx = ctx
	if prepare != nil {
		prepare(f)
	}
	for _, q := range p.inputs {
		f.bind(q.slot, in[q.name])
	}
	for _, q := range p.outputs {
		if r := q.slot.root; r.place == inOutput {
			f.bind(r, f.output(q.name, r, in))
		}
	}
	if err := p.execute(f, c); err != nil {
		return nil, err
	}
	out := make(map[string]*tensor.Tensor, len(p.outputs))
	for _, q := range p.outputs {
		t := f.vals[q.slot.id]
		if t == nil {
			return nil, fault.Invalidf(fmt.Sprintf("output %q", q.name), "is never produced")
		}
		if q.fresh {
			t = t.Clone()
		}
		out[q.name] = t
	}
	p.recycle(f)
	return out, nil
}
