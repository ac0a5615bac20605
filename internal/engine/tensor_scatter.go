package engine

import "lowbit/internal/tensor"

// lowerTensorScatter emits TensorScatter: a cache, and the rows that an update writes into it where a run says.
func lowerTensorScatter(lw *lowerer, n *node) bool {
	cache, update, at, y := n.in[0], n.in[1], n.input(2), n.out[0]
	axis, rank := n.onnx.Int("axis", -2), len(cache.shape)
	if axis < 0 {
		axis += rank
	}
	circular := n.onnx.Str("mode", "linear") == "circular"
	if !movable(cache.dtype) || axis < 1 || axis >= rank || len(update.shape) != rank || update.elems() == 0 || update.shape[axis] > cache.shape[axis] ||
		!circular && n.onnx.Str("mode", "linear") != "linear" || at != nil && (!at.is(tensor.Int64) || !sameShape(at.shape, cache.shape[:1])) {
		return false
	}
	for k, d := range cache.shape {
		if k != axis && update.shape[k] != d {
			return false
		}
	}
	e, err := lw.net.evaluator(n, lw.seed)
	if err != nil {
		return false
	}
	in := []*slot{lw.use(cache, rowMajor), lw.use(update, rowMajor)}
	if at != nil {
		in = append(in, lw.use(at, rowMajor))
	}
	dst := lw.make(y, rowMajor)
	room, count, bytes := cache.shape[axis], update.shape[axis], cache.dtype.ByteLen(tensor.Elements(cache.shape[axis+1:]))
	planes, heads := tensor.Elements(cache.shape[:axis]), tensor.Elements(cache.shape[1:axis])
	parts := lw.partsFor(float64(planes*room*bytes)*moveNanosPerByte, planes)
	lw.emit(&step{node: n, kernel: "move", parts: parts, in: in, out: []*slot{dst}, run: func(f *frame, part int) error {
		old, fresh, to := f.vals[in[0].id].Raw, f.vals[in[1].id].Raw, f.vals[dst.id].Raw
		for p := planes * part / parts; p < planes*(part+1)/parts; p++ {
			start := 0
			if at != nil {
				start = int(tensor.Of[int64](f.vals[in[2].id])[p/heads])
			}
			if start < 0 || !circular && start > room-count {
				args := make([]*tensor.Tensor, len(in))
				for i, s := range in {
					args[i] = f.vals[s.id]
				}
				_, err := e.run(f.ctx, args)
				return err
			}
			plane := to[p*room*bytes:][:room*bytes]
			copy(plane, old[p*room*bytes:])
			for i := range count {
				copy(plane[(start%room+i)%room*bytes:][:bytes], fresh[(p*count+i)*bytes:])
			}
		}
		return nil
	}})
	return true
}
