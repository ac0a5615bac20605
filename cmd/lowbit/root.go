package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lowbit/internal/fault"
)

// An app is one run of the program.
type app struct {
	in       io.Reader
	out, err io.Writer

	json    bool
	threads int
	seed    uint64
	memory  string
	force   bool
	quiet   bool
	verbose bool
	log     string
}

// A verb is one command: a row in verbs, a file of its own.
type verb func(a *app) *cobra.Command

// verbs lists the commands in the order that help prints them.
var verbs = []verb{demoCmd, quantizeCmd, evalCmd, compareCmd, inspectCmd, checkCmd, runCmd, conformCmd, benchCmd, recipeCmd, formatsCmd, targetsCmd, versionCmd, manCmd}

// Main runs the program with the given arguments and returns its exit status.
func Main(args []string, in io.Reader, out, stderr io.Writer) (code int) {
	a := &app{in: in, out: out, err: stderr}
	defer func() {
		if p := recover(); p != nil {
			code = a.crashed(p, debug.Stack())
		}
	}()
	ctx, stop := interruptible(context.Background())
	defer stop()
	root := a.root()
	root.SetArgs(args)
	if err := fromEnvironment(root); err != nil {
		return a.finish(err)
	}
	err := root.ExecuteContext(ctx)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		var sig interrupted
		if errors.As(cause, &sig) {
			fmt.Fprintln(stderr, "interrupted")
			return 128 + int(sig.Signal.(syscall.Signal))
		}
	}
	return a.finish(err)
}

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ os.Signal }

func (i interrupted) Error() string { return "interrupted by " + i.String() }

// interruptible returns a context that the first SIGINT or SIGTERM ends. The second ends the process.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-c:
			cancel(interrupted{s})
		case <-done:
			return
		}
		select {
		case s := <-c:
			os.Exit(128 + int(s.(syscall.Signal)))
		case <-done:
		}
	}()
	return ctx, func() { signal.Stop(c); close(done) }
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "lowbit",
		Short:         "Quantize neural networks and run them",
		Long:          "lowbit makes a trained ONNX network smaller and faster, says what that costs, and runs the result.",
		SilenceErrors: true, SilenceUsage: true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print one JSON document")
	f.IntVar(&a.threads, "threads", runtime.NumCPU(), "threads to use")
	f.Uint64Var(&a.seed, "seed", 0, "seed of everything random")
	f.StringVar(&a.memory, "max-memory", "", "most memory to use, such as 8GiB (default 75 % of what there is)")
	f.BoolVar(&a.force, "force", false, "replace an existing output")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "print results and errors only")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "print more")
	f.StringVar(&a.log, "log-format", "text", "text or json, of what goes to stderr")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	for _, v := range verbs {
		root.AddCommand(v(a))
	}
	return root
}

// fromEnvironment gives every flag of every command whose LOWBIT_<FLAG> variable is set that value
// as its default: the command line still comes first.
func fromEnvironment(root *cobra.Command) error {
	var err error
	set := func(f *pflag.Flag) {
		name := "LOWBIT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v, ok := os.LookupEnv(name); ok && err == nil {
			if f.Value.Set(v) != nil {
				err = fault.Invalidf(name, "%q is not a value for --%s", v, f.Name)
			}
		}
	}
	root.PersistentFlags().VisitAll(set)
	for _, c := range root.Commands() {
		c.Flags().VisitAll(set)
	}
	return err
}

// usageError is a mistake in the words of a command.
type usageError struct{ error }

// finish prints an error and returns the exit status for it.
func (a *app) finish(err error) int {
	if err == nil {
		return 0
	}
	code := fault.KindOf(err).ExitCode()
	var usage usageError
	if errors.As(err, &usage) || isUsage(err) {
		code = fault.Invalid.ExitCode()
	}
	if a.log == "json" {
		line, _ := json.Marshal(map[string]any{"level": "error", "message": err.Error(), "hint": fault.HintOf(err), "code": code})
		fmt.Fprintf(a.err, "%s\n", line)
		return code
	}
	fmt.Fprintf(a.err, "error: %v\n", err)
	if h := fault.HintOf(err); h != "" {
		fmt.Fprintf(a.err, "  hint: %s\n", h)
	}
	return code
}

// isUsage says whether cobra found the mistake: it has no error type of its own for these.
func isUsage(err error) bool {
	s := err.Error()
	return strings.HasPrefix(s, "unknown command") || strings.HasPrefix(s, "accepts ") || strings.HasPrefix(s, "requires at least")
}

// crashed writes a crash file for a panic that nothing else caught, and returns the exit status.
func (a *app) crashed(p any, stack []byte) int {
	name := fmt.Sprintf("lowbit-crash-%s.txt", time.Now().UTC().Format("20060102T150405"))
	text := fmt.Sprintf("lowbit %s\n%s %s/%s\npanic: %v\n\n%s", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, p, stack)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		name = "nowhere: " + err.Error()
	}
	fmt.Fprintf(a.err, "error: internal error: %v\n  hint: details are in %s\n", p, name)
	return fault.Internal.ExitCode()
}

// version is the version that the binary was built as.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// printJSON writes one document to stdout.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// warn prints a line of words to stderr unless the user asked for quiet.
func (a *app) warn(format string, args ...any) { fmt.Fprintf(a.err, "warning: "+format+"\n", args...) }

// say prints a line of words to stderr unless the user asked for quiet.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.err, format+"\n", args...)
	}
}
