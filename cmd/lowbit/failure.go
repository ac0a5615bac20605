package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"lowbit/internal/fault"
)

// errorJSON is what a failed command prints with --json, unless it has printed its result already.
type errorJSON struct {
	Schema  string   `json:"schema"`
	Message string   `json:"error"`
	Hint    string   `json:"hint,omitempty"`
	Code    int      `json:"exit_code"`
	Faults  []string `json:"faults"`
}

// finish tells of an error and returns the exit status for it.
func (a *app) finish(err error) int {
	if err == nil {
		return 0
	}
	if cause := a.cause(); cause != nil {
		err = cause
	}
	f := &errorJSON{Schema: "lowbit.error/v1", Message: err.Error(), Hint: flagged(fault.HintOf(err)), Code: a.exitCode(err), Faults: faultsOf(err)}
	if sig, ok := signalled(err); ok {
		f.Message, f.Hint, f.Code = sig.Error(), a.resumption(), sig.code()
	}
	a.told.Do(func() {
		if a.json && !a.out.written {
			_ = a.printJSON(f) // the exit status tells of the failure in any case
		}
		a.failure(f)
	})
	return f.Code
}

// setting is how packages within write a setting in what they tell: by the name of its flag, and perhaps a value.
var setting = regexp.MustCompile("`([a-z][a-z0-9 -]*)`")

// flagged spells settings as they are given on the command line.
func flagged(text string) string { return setting.ReplaceAllString(text, "--$1") }

// exitCode is the status for an error. One that nobody classified before the work began is a
// mistake in the words of the command.
func (a *app) exitCode(err error) int {
	kind := fault.KindOf(err)
	if kind == fault.Internal && !a.started {
		kind = fault.Invalid
	}
	return kind.ExitCode()
}

// failure writes an error to stderr: what and where, each further fault, what to do.
func (a *app) failure(f *errorJSON) {
	if a.log == "json" {
		a.line("error", f.Message, map[string]any{"hint": f.Hint, "code": f.Code, "faults": f.Faults})
		return
	}
	if len(f.Faults) == 0 {
		a.line("error", f.Message, nil)
	}
	for _, text := range f.Faults {
		a.line("error", text, nil)
	}
	if f.Hint != "" {
		fmt.Fprintf(a.err, "  hint: %s\n", f.Hint)
	}
}

// faultsOf lists the single faults of an error that gathers several.
func faultsOf(err error) []string {
	list := []string{}
	var many *fault.List
	if !errors.As(err, &many) {
		return list
	}
	for _, e := range many.Errors() {
		list = append(list, e.Error())
	}
	if more := many.Len() - len(list); more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return list
}

// crashed writes a crash file for a panic that nothing else caught, and returns the exit status.
func (a *app) crashed(p any, stack []byte) int {
	if err := fault.Recovered("", p); fault.KindOf(err) == fault.IO {
		return a.finish(err)
	}
	name := fmt.Sprintf("lowbit-crash-%s.txt", time.Now().UTC().Format("20060102T150405"))
	text := fmt.Sprintf("lowbit %s\n%s\npanic: %v\n\n%s", version(), platform(), p, stack)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		name = "nowhere: " + err.Error()
	}
	return a.finish(&fault.Error{Kind: fault.Internal, Msg: fmt.Sprintf("internal error: %v", p), Hint: "details are in " + name})
}
