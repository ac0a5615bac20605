package main

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestUnits(t *testing.T) {
	var b size
	var d span
	var s share
	var r decibels
	rows := []struct {
		flag pflag.Value
		text string
		want string // as String writes it; "" refuses
	}{
		{&b, "8GiB", "8GiB"}, {&b, "1.5 MiB", "1.5MiB"}, {&b, "4096", "4KiB"}, {&b, "2K", "2KiB"}, {&b, "1000B", "1000B"}, {&b, "1GB", "953.7MiB"}, {&b, "8g", "8GiB"}, {&b, "1gb", "953.7MiB"}, {&b, "3gib", "3GiB"},
		{&b, "1e9", "953.7MiB"}, {&b, "0", ""}, {&b, "-1GiB", ""}, {&b, "GiB", ""}, {&b, "", ""}, {&b, "8GiBs", ""}, {&b, "1e30", ""}, {&b, "NaN", ""}, {&b, "inf", ""},
		{&d, "500ms", "500ms"}, {&d, "5s", "5s"}, {&d, "1.5", "1.5s"}, {&d, "0", "0s"}, {&d, "2m", "2m0s"}, {&d, "-1s", ""}, {&d, "fast", ""}, {&d, "", ""},
		{&s, "0.75", "0.75"}, {&s, "75%", "0.75"}, {&s, "1 %", "0.01"}, {&s, "-3", "-3"}, {&s, "NaN", ""}, {&s, "%", ""}, {&s, "Inf", ""},
		{&r, "30dB", "30dB"}, {&r, "30 db", "30dB"}, {&r, "-3.5", "-3.5dB"}, {&r, "dB", ""}, {&r, "loud", ""},
	}
	for _, c := range rows {
		err := c.flag.Set(c.text)
		if (err == nil) != (c.want != "") {
			t.Errorf("%s %q: %v", c.flag.Type(), c.text, err)
		}
		if got := c.flag.String(); err == nil && got != c.want {
			t.Errorf("%s %q is %s, want %s", c.flag.Type(), c.text, got, c.want)
		}
	}
	if d.Set("250ms") != nil || time.Duration(d) != 250*time.Millisecond {
		t.Errorf("250ms is %v", time.Duration(d))
	}
}
