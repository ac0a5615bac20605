package graph

import (
	"strconv"
	"strings"

	"lowbit/internal/fault"
)

// A lexer takes a text apart. The first error stays, and everything after it is empty.
type lexer struct {
	text string
	at   int
	err  error
}

// fail notes an error at the present line unless there is one already.
func (l *lexer) fail(format string, a ...any) {
	if l.err == nil {
		line := 1 + strings.Count(l.text[:l.at], "\n")
		l.err = fault.Invalidf("line "+strconv.Itoa(line), format, a...)
		l.at = len(l.text)
	}
}

// space skips blanks and comments, which run from # to the end of the line.
func (l *lexer) space() {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			l.at++
		case c == '#':
			for l.at < len(l.text) && l.text[l.at] != '\n' {
				l.at++
			}
		default:
			return
		}
	}
}

// peek returns the next byte that is no blank, 0 at the end.
func (l *lexer) peek() byte {
	if l.space(); l.at < len(l.text) {
		return l.text[l.at]
	}
	return 0
}

// more says whether anything but blanks is left.
func (l *lexer) more() bool {
	l.space()
	return l.at < len(l.text)
}

// take skips s if it comes next, and says whether it did.
func (l *lexer) take(s string) bool {
	if l.space(); strings.HasPrefix(l.text[l.at:], s) {
		l.at += len(s)
		return true
	}
	return false
}

// expect skips s, which has to come next.
func (l *lexer) expect(s string) {
	if !l.take(s) {
		l.fail("%q expected, not %s", s, l.ahead())
	}
}

// ahead describes what comes next for messages.
func (l *lexer) ahead() string {
	if l.peek() == 0 {
		return "the end"
	}
	rest := l.text[l.at:]
	if i := strings.IndexAny(rest, " \t\r\n"); i > 0 {
		rest = rest[:i]
	}
	return strconv.Quote(rest[:min(len(rest), 20)])
}

// identifier reads a plain name.
func (l *lexer) identifier() string {
	s := l.maybeIdentifier()
	if s == "" {
		l.fail("a name expected, not %s", l.ahead())
	}
	return s
}

// maybeIdentifier reads a plain name if one comes next, else "".
func (l *lexer) maybeIdentifier() string {
	l.space()
	end := l.at
	for end < len(l.text) && (isLetter(l.text[end]) || end > l.at && l.text[end] >= '0' && l.text[end] <= '9') {
		end++
	}
	s := l.text[l.at:end]
	l.at = end
	return s
}

// name reads a name, plain or in quotes.
func (l *lexer) name() string {
	if l.peek() == '"' {
		return l.quoted()
	}
	return l.identifier()
}

// quoted reads a string in quotes, in which a backslash stands before a character that is meant as it is.
func (l *lexer) quoted() string {
	l.expect(`"`)
	var b strings.Builder
	for l.at < len(l.text) {
		c := l.text[l.at]
		l.at++
		if c == '"' {
			return b.String()
		}
		if c == '\\' && l.at < len(l.text) {
			c = l.text[l.at]
			l.at++
		}
		b.WriteByte(c)
	}
	l.fail("a string without its closing quote")
	return ""
}

// number reads the text of a number: digits, signs, dots and exponents, or inf or nan with a sign.
func (l *lexer) number() string {
	l.space()
	end := l.at
	if end < len(l.text) && (l.text[end] == '-' || l.text[end] == '+') {
		end++
	}
	for end < len(l.text) {
		c := l.text[end]
		exponent := (c == '-' || c == '+') && l.text[end-1]|0x20 == 'e'
		if !exponent && c != '.' && !isLetter(c) && (c < '0' || c > '9') {
			break
		}
		end++
	}
	s := l.text[l.at:end]
	if s == "" {
		l.fail("a number expected, not %s", l.ahead())
	}
	l.at = end
	return s
}

// integer reads a whole number.
func (l *lexer) integer() int64 {
	s := l.number()
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		l.fail("%q is not a whole number", s)
	}
	return v
}

// real reads a number of the given bits.
func (l *lexer) real(bits int) float64 { return l.parseReal(l.number(), bits) }

func (l *lexer) parseReal(s string, bits int) float64 {
	v, err := strconv.ParseFloat(s, bits)
	if err != nil {
		l.fail("%q is not a number", s)
	}
	return v
}

// list reads items separated by commas up to the closing mark, which it skips.
func (l *lexer) list(end string, item func()) {
	for l.err == nil && !l.take(end) {
		item()
		if !l.take(",") && l.err == nil {
			l.expect(end)
			return
		}
	}
}
