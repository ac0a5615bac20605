package quantize

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/repair"
)

// A book is where the steps of long repairs are kept, opened when it is first needed.
type book struct {
	open    func(work string) (repair.Journal, error)
	journal repair.Journal
}

// A chapter of a book holds the steps of one repair of one network.
type chapter struct {
	repair.Journal
	name string
}

func (c chapter) Recall(key string, v any) bool { return c.Journal.Recall(c.name+key, v) }

func (c chapter) Keep(key string, v any) error { return c.Journal.Keep(c.name+key, v) }

// journal returns where the steps of a repair of the network as it is now are kept, nil where nobody wants that.
func (q *quantization) journal(r *repair.Repair) (repair.Journal, error) {
	b := q.book
	if b == nil || b.open == nil {
		return nil, nil
	}
	if b.journal == nil {
		work, err := q.work()
		if err != nil {
			return nil, err
		}
		if b.journal, err = b.open(work); err != nil {
			return nil, err
		}
	}
	h := sha256.New()
	p, err := q.plan.Encode()
	if err != nil {
		return nil, err
	}
	h.Write(p)
	for _, m := range []*graph.Model{q.float, q.origin} {
		hashModel(h, m)
	}
	return chapter{b.journal, fmt.Sprintf("%s %x ", r.Name, h.Sum(nil)[:8])}, nil
}

// hashModel writes the nodes and constants of a network.
func hashModel(h hash.Hash, m *graph.Model) {
	fmt.Fprint(h, m.Text(graph.TextOptions{Elide: 1}))
	for g := range m.Graph.Graphs() {
		for _, c := range g.Consts() {
			if fmt.Fprintf(h, "%q ", c.Name); c.Tensor != nil {
				h.Write(c.Tensor.Raw)
			}
		}
	}
}

// work names what is being done: the settings, the samples, and the machine's kernels, on which the last bit of
// a product of floats depends. What has one name gives one file.
func (q *quantization) work() (string, error) {
	h := sha256.New()
	o := &q.opt
	fmt.Fprintf(h, "%q %q %q %v %v\n", o.Recipe, o.Style, o.Fix, o.Budget, o.AllowRequantize)
	level, err := kernel.Best()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "%v %q\n", level, o.Data.Info().Form)
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
