package doctor

import (
	"context"
)

// Losses measures what every layer with weights loses by itself, and what is left of the outputs where it
// alone is quantized. It returns none for a network of which nothing quantized can be taken out.
func Losses(ctx context.Context, j *Job) ([]Layer, error) {
	n, err := newNet(j.Float, j.Quantized)
	if err != nil || len(n.sites) == 0 || len(j.Samples) == 0 {
		return nil, err
	}
	e := &exam{Job: j, net: n, few: j.Samples, branches: map[*unit][]string{}, d: &Diagnosis{}}
	if err := e.answer(ctx); err != nil {
		return nil, err
	}
	if err := e.strip(ctx); err != nil {
		return nil, err
	}
	if err := e.screen(ctx); err != nil {
		return nil, err
	}
	e.tell(nil)
	k := 0
	for _, u := range e.layers() {
		if e.screening.layers[u] == nil {
			continue
		}
		db, err := e.variant(ctx, e.base.except(u.own()...))
		if err != nil {
			return nil, err
		}
		e.d.Layers[k].Alone = &db
		k++
		e.Progress("sensitivity", k, len(e.d.Layers))
	}
	return e.d.Layers, nil
}

// own lists the sites of what a unit reads.
func (u *unit) own() []*site {
	var list []*site
	for _, s := range append([]*site{u.weights, u.bias}, u.in...) {
		if s != nil {
			list = append(list, s)
		}
	}
	return list
}
