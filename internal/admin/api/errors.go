package api

import "errors"

// What can be wrong with a request, beside its form. They are wrapped with a sentence for
// the person who asked.
var (
	ErrNotFound    = errors.New("not found")
	ErrOwned       = errors.New("the cluster has an owner, who alone may change it")
	ErrChanged     = errors.New("the cluster has changed since") // another revision than was asked for
	ErrInvalid     = errors.New("invalid request")
	ErrUnsupported = errors.New("not possible here") // such as a backup of a registry that keeps nothing
	ErrUnavailable = errors.New("not now, try again later")
)
