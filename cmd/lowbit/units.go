package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A size is a flag in bytes: 8GiB, 500MB, 4096.
type size int64

// sizeUnits are tried in order, in any case: longer words before the letters in which they end.
var sizeUnits = []struct {
	word string
	n    float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12},
	{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40}, {"b", 1}, {"", 1},
}

func (s *size) Set(text string) error {
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(strings.ToLower(text), u.word)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(v > 0) || v*u.n >= math.MaxInt64 {
			return fmt.Errorf("%q is not a size such as 8GiB or 500MB", text)
		}
		*s = size(v * u.n)
		return nil
	}
	return nil
}

// String writes a size in the unit that suits it; nothing for zero, which is no limit.
func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	v, unit := float64(*s), 0
	for units := []string{"B", "KiB", "MiB", "GiB", "TiB"}; ; unit++ {
		if v < 1024 || unit == len(units)-1 {
			return strconv.FormatFloat(v, 'g', 4, 64) + units[unit]
		}
		v /= 1024
	}
}

func (*size) Type() string { return "size" }

// A span is a flag in time: 500ms, 1.5s, 2m, or seconds without a unit.
type span time.Duration

func (s *span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if v, e := strconv.ParseFloat(text, 64); e == nil {
		d, err = time.Duration(v*float64(time.Second)), nil
	}
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a time such as 500ms or 5s", text)
	}
	*s = span(d)
	return nil
}

func (s *span) String() string { return time.Duration(*s).String() }
func (*span) Type() string     { return "time" }

// A share is a flag in parts of one: 0.75 or 75%. Metrics that are no share take plain numbers.
type share float64

func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%q is not a number such as 0.75 or 75%%", text)
	}
	if percent {
		v /= 100
	}
	*s = share(v)
	return nil
}

func (s *share) String() string { return strconv.FormatFloat(float64(*s), 'g', -1, 64) }
func (*share) Type() string     { return "number" }

// A decibels is a flag in dB, with or without the unit.
type decibels float64

func (d *decibels) Set(text string) error {
	number := strings.TrimSpace(text)
	if n := len(number) - 2; n > 0 && strings.EqualFold(number[n:], "dB") {
		number = strings.TrimSpace(number[:n])
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%q is not a ratio such as 30dB", text)
	}
	*d = decibels(v)
	return nil
}

func (d *decibels) String() string { return strconv.FormatFloat(float64(*d), 'g', -1, 64) + "dB" }
func (*decibels) Type() string     { return "ratio" }
