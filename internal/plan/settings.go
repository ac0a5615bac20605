package plan

import (
	"slices"

	"lowbit/internal/calib"
)

// Settings are what a plan is made from.
type Settings struct {
	Mode      Mode
	Target    *Target
	Weights   Scheme
	Acts      Scheme
	Observer  *calib.Observer // of activations; nil tries several
	Symmetric bool            // activations are symmetric about zero
	Codes     bool            // operators on codes are wanted (QOperator style)
	Exact     bool            // scales of 8 bits are such that a simulation in floats is exact
	Ends      bool            // the first and the last node with weights keep eight bits
	Keep      []Pattern       // nodes that stay in float
	Overrides []Override
	Outliers  float64           // columns of activations that exceed it are multiplied in float; 0: none
	Trim      float64           // share of answers that may change while bits are trimmed from fixed point; 0: nothing is trimmed
	Leave     map[string]string // nodes that stay in float, by name, and why
	Light     map[string]bool   // those of them whose weights are stored in codes all the same
}

// Float says whether the settings leave every node in float.
func (s *Settings) Float() bool {
	for _, o := range s.Overrides {
		if o.Weights != nil && o.Weights.Format != nil {
			return false
		}
	}
	return s.Weights.Format == nil
}

// Observers lists the observers that are asked for by name, each once.
func (s *Settings) Observers() []*calib.Observer {
	list := []*calib.Observer{s.Observer, s.Weights.Observer, s.Acts.Observer}
	for _, o := range s.Overrides {
		for _, c := range []*Scheme{o.Weights, o.Acts} {
			if c != nil {
				list = append(list, c.Observer)
			}
		}
	}
	var named []*calib.Observer
	for _, o := range list {
		if o != nil && !slices.Contains(named, o) {
			named = append(named, o)
		}
	}
	return named
}

// Own gives activations whose format has an observer of its own that one, where none is named. Where that is all of
// them nothing is left to try.
func (s *Settings) Own() {
	if s.Observer != nil {
		return
	}
	all := s.Acts.own() && !s.Ends
	s.Overrides = slices.Clone(s.Overrides)
	for i := range s.Overrides {
		if a := s.Overrides[i].Acts; a != nil {
			c := *a
			all = c.own() && all
			s.Overrides[i].Acts = &c
		}
	}
	if all {
		s.Observer = s.Acts.Observer
	}
}

// own gives the scheme the observer of its format, and says whether it has one.
func (s *Scheme) own() bool {
	if s.Observer == nil {
		s.Observer = calib.Own(s.Format)
	}
	return s.Observer != nil
}

// An Override changes the schemes of the nodes that match.
type Override struct {
	Match   Pattern
	Weights *Scheme
	Acts    *Scheme
}
