package quantize

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"sync"
	"weak"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/repair"
	"lowbit/internal/tensor"
)

// A book is where what is done of one run is kept, opened when it is first needed.
type book struct {
	given   Options // the run, as it was asked for
	journal repair.Journal
	mu      sync.Mutex // of sums
	sums    map[weak.Pointer[tensor.Tensor]][sha256.Size]byte
}

// A chapter of a book holds the steps of one thing that is done to some networks.
type chapter struct {
	repair.Journal
	name string
}

func (c chapter) Recall(key string, v any) bool { return c.Journal.Recall(c.name+key, v) }

func (c chapter) Keep(key string, v any) error { return c.Journal.Keep(c.name+key, v) }

// chapter returns where the steps of something are kept, nil where nobody wants that. What write writes tells it from
// whatever else the same run does under that name: all that it depends on besides the work.
func (b *book) chapter(name string, write func(h hash.Hash) error) (repair.Journal, error) {
	if b == nil || b.given.Journal == nil {
		return nil, nil
	}
	if b.journal == nil {
		work, err := b.work()
		if err != nil {
			return nil, err
		}
		if b.journal, err = b.given.Journal(work); err != nil {
			return nil, err
		}
	}
	h := sha256.New()
	if err := write(h); err != nil {
		return nil, err
	}
	return chapter{b.journal, fmt.Sprintf("%s %x ", name, h.Sum(nil)[:8])}, nil
}

// work names what is being done: the settings, the samples, and the machine's kernels, on which the last bit of
// a product of floats depends. What has one name gives one file.
func (b *book) work() (string, error) {
	h := sha256.New()
	o := &b.given
	fmt.Fprintf(h, "%q %q %q %v %v\n", o.Recipe, o.Style, o.Fix, o.Budget, o.AllowRequantize)
	level, err := kernel.Best()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "%v\n", level)
	if o.Data == nil {
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	fmt.Fprintf(h, "%q\n", o.Data.Info().Form)
	if err := json.NewEncoder(h).Encode(o.Data.Info().Preprocess); err != nil {
		return "", err
	}
	for i := range o.Data.Len() {
		f, err := o.Data.Fingerprint(i)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%x ", f)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// journal returns where the steps of a repair of the network as it is now are kept.
func (q *quantization) journal(r *repair.Repair, j *repair.Job) (repair.Journal, error) {
	return q.book.chapter(r.Name, func(h hash.Hash) error {
		p, err := q.plan.Encode()
		if err != nil {
			return err
		}
		h.Write(p)
		fmt.Fprintln(h, len(j.Fit), len(j.Held))
		q.book.hashModel(h, q.float)
		if j.Origin != nil {
			q.book.hashModel(h, j.Origin)
		}
		return nil
	})
}

// hashModel writes the nodes of a network and the hashes of its constants.
func (b *book) hashModel(h hash.Hash, m *graph.Model) {
	fmt.Fprint(h, m.Text(graph.TextOptions{Elide: 1}))
	for g := range m.Graph.Graphs() {
		for _, c := range g.Consts() {
			if fmt.Fprintf(h, "%q ", c.Name); c.Tensor != nil {
				b.hashTensor(h, m, c.Tensor)
			}
		}
		for _, n := range g.Nodes {
			for _, a := range n.Attrs {
				if t, ok := a.Value.(*tensor.Tensor); ok {
					b.hashTensor(h, m, t)
				}
			}
		}
	}
}

// hashTensor writes the hash of the bytes of a tensor of m, which trials share and nothing changes: it is made once, and does not keep
// the tensor.
func (b *book) hashTensor(h hash.Hash, m *graph.Model, t *tensor.Tensor) {
	key := weak.Make(t)
	b.mu.Lock()
	sum, known := b.sums[key]
	b.mu.Unlock()
	if !known {
		sum = sha256.Sum256(t.Raw)
		m.Forget(t)
		b.mu.Lock()
		if b.sums == nil {
			b.sums = map[weak.Pointer[tensor.Tensor]][sha256.Size]byte{}
		}
		b.sums[key] = sum
		b.mu.Unlock()
	}
	h.Write(sum[:])
}
