package tensor

import (
	"errors"
	"fmt"
)

// Check holds the fields of a tensor that a caller made against each other: what computes relies on them.
func (t *Tensor) Check() error {
	switch {
	case t == nil:
		return errors.New("there is no tensor")
	case t.Kind > Optional:
		return fmt.Errorf("kind %d is none", t.Kind)
	case t.Kind == Optional && len(t.Items) > 1:
		return fmt.Errorf("an optional value holds %d", len(t.Items))
	case t.Kind != Dense && len(t.Items) == 0 && t.DType == Undefined:
		return nil // a file may store nothing without saying of what type
	case !t.DType.Valid():
		return fmt.Errorf("element type %d is none", t.DType)
	case t.Kind != Dense:
		return t.checkItems()
	}
	n, err := CheckedElements(t.Shape)
	if err != nil {
		return err
	}
	if t.DType == String {
		if len(t.Str) != n {
			return fmt.Errorf("%s holds %d strings, not %d", t, len(t.Str), n)
		}
		return nil
	}
	if n > 8*len(t.Raw) || len(t.Raw) != t.DType.ByteLen(n) { // first what keeps ByteLen from overflowing
		return fmt.Errorf("the %d elements of %s do not take %d bytes", n, t, len(t.Raw))
	}
	return nil
}

func (t *Tensor) checkItems() error {
	for i, v := range t.Items {
		if err := v.Check(); err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
		if v.DType != t.DType {
			return fmt.Errorf("item %d is %s in %s", i, v, t)
		}
	}
	return nil
}
