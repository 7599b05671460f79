package adminclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// What can be wrong besides what package api names.
var (
	ErrNotServed  = errors.New("no registry answers")
	ErrNotAllowed = errors.New("not allowed")
	ErrNoToken    = errors.New("the admin side does not know who asks")
	ErrUntrusted  = errors.New("the server is not the one that was asked for")
	ErrForeign    = errors.New("the answer is not that of a registry's admin side")
	ErrBroken     = errors.New("the answer ended early")
)

// Problem is what an admin side says about a request that it has not done. It wraps one
// of the errors of package api, or of this package.
type Problem struct {
	Status int
	Detail string // for people
	kind   error
}

// Error returns what the admin side says, or else what kind of problem it is.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.kind.Error()
	}
	return p.Detail
}

func (p *Problem) Unwrap() error { return p.kind }

// problemJSON is application/problem+json (RFC 9457), as far as it is used.
type problemJSON struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

func readProblem(answer *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxProblem)) // what can be read will do
	p := &Problem{Status: answer.StatusCode, kind: kindOf(answer.StatusCode)}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	var v problemJSON
	switch {
	case kind == "application/problem+json" && json.Unmarshal(text, &v) == nil:
		p.Detail = v.text()
	case kind == "text/plain":
		p.Detail = strings.TrimSpace(string(text))
	default:
		return fmt.Errorf("%w: it is %s", ErrForeign, answer.Status)
	}
	return p
}

// text joins what is said.
func (v *problemJSON) text() string {
	text := v.Detail
	if text == "" {
		text = v.Title
	}
	for _, e := range v.Errors {
		text += ": " + e.Message
		if e.Location != "" {
			text += " (" + e.Location + ")"
		}
	}
	return text
}

// kindOf returns the kind of a problem with a status.
func kindOf(status int) error {
	switch status {
	case http.StatusUnauthorized:
		return ErrNoToken
	case http.StatusForbidden:
		return ErrNotAllowed
	case http.StatusNotFound, http.StatusGone:
		return api.ErrNotFound
	case http.StatusConflict:
		return api.ErrOwned
	case http.StatusPreconditionFailed:
		return api.ErrChanged
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return api.ErrUnsupported
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return api.ErrUnavailable
	}
	if status/100 == 4 {
		return api.ErrInvalid
	}
	return ErrFailed
}

// ErrFailed says that the registry could not do what it was asked for, and has logged why.
var ErrFailed = errors.New("the registry has failed: see its log")
