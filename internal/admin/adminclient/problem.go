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
	ErrNoToken    = errors.New("the admin side wants to know who asks")
	ErrUntrusted  = errors.New("the server is not the one that was asked for")
	ErrForeign    = errors.New("the answer is not that of a registry's admin side")
	ErrBroken     = errors.New("the answer ended early")
)

// ErrFailed says that the registry could not do what it was asked for, and has logged why.
var ErrFailed = errors.New("the registry could not do it: its log says why")

// Problem is what an admin side says about a request that it has not done. It wraps one
// of the errors of package api, or of this package.
type Problem struct {
	Status int
	Name   string // of the kind of problem, from the closed set of the API; empty: none was given
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

// Unwrap returns the kind of problem.
func (p *Problem) Unwrap() error { return p.kind }

// kinds are the kinds of problems by the names that the API gives them.
var kinds = map[string]error{
	"changed":     api.ErrChanged,
	"forbidden":   ErrNotAllowed,
	"invalid":     api.ErrInvalid,
	"not-found":   api.ErrNotFound,
	"owned":       api.ErrOwned,
	"too-often":   api.ErrUnavailable,
	"unavailable": api.ErrUnavailable,
	"busy":        api.ErrUnavailable,
	"unknown":     ErrNoToken,
	"unsupported": api.ErrUnsupported,
}

// kindPrefix makes the names URIs.
const kindPrefix = "urn:xlreg:problem:"

// problemJSON is application/problem+json (RFC 9457), as far as it is used.
type problemJSON struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

func (c *Client) readProblem(answer *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxProblem)) // what can be read will do
	medium, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	var v problemJSON
	if medium != "application/problem+json" || json.Unmarshal(text, &v) != nil {
		return fmt.Errorf("%w: it is %q", ErrForeign, answer.Status)
	}
	p := &Problem{Status: answer.StatusCode, Detail: v.text()}
	p.Name, _ = strings.CutPrefix(v.Type, kindPrefix)
	p.kind = kindOf(p.Name, p.Status)
	if errors.Is(p, ErrNoToken) {
		p.Detail = c.unknown()
	}
	return p
}

// unknown says why nobody knows who asks. What the admin side says of it is for those who
// write requests by hand.
func (c *Client) unknown() string {
	switch {
	case c.token != "":
		return "the token is not known there, or has been revoked"
	case c.keyed:
		return "the key is not that of an admin there, or its certificate is not good"
	}
	return ErrNoToken.Error()
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

// kindOf returns the kind of a problem by its name, or else by its status.
func kindOf(name string, status int) error {
	switch kind := kinds[name]; {
	case kind != nil:
		return kind
	case status == http.StatusNotFound:
		return api.ErrNotFound
	case status == http.StatusUnauthorized:
		return ErrNoToken
	case status == http.StatusForbidden:
		return ErrNotAllowed
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return api.ErrUnavailable
	case status/100 == 4:
		return api.ErrInvalid
	}
	return ErrFailed
}
