package regcred

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xlattice/xlreg"
	"github.com/xlattice/xlreg/keys"
)

const (
	urlPrefix = "xlreg://"
	urlSig    = "sig"
	maxURL    = 8 << 10 // bytes; sixteen of the longest endpoints need half of it

	urlCluster = "cluster" // the parameter that only tickets have; see package ticket
)

// ErrTicket says that a line is the ticket of a cluster where that of a registry is
// wanted.
var ErrTicket = errors.New("this is the ticket of a cluster, not the line of a registry")

// ParseURL reads the line xlreg://host:port,host:port/?sig=fingerprint. A host
// without a port has the default one. The fingerprint may be in base64 or
// base64url, with or without SHA256: before it. No library for URLs is used, as
// those refuse two hosts.
func ParseURL(s string) (*Target, error) {
	if len(s) > maxURL {
		return nil, fmt.Errorf("registry url of %d bytes: at most %d allowed", len(s), maxURL)
	}
	t, err := parseURL(s)
	if err != nil {
		return nil, fmt.Errorf("registry url %q: %w", shown(s), err)
	}
	return t, nil
}

// shown returns as much of a line as an error may have: where the registry is. In a
// ticket, which is easily taken for the line of a registry, secrets follow.
func shown(s string) string {
	if end := strings.IndexAny(s, "?&="); end >= 0 {
		return s[:end] + "…"
	}
	return s
}

func parseURL(s string) (*Target, error) {
	rest, ok := strings.CutPrefix(s, urlPrefix)
	if !ok {
		return nil, fmt.Errorf("want %shost:port/?%s=…", urlPrefix, urlSig)
	}
	hosts, query, ok := strings.Cut(rest, "/?")
	if !ok {
		return nil, fmt.Errorf("no /?%s=… after the hosts: without it the registry cannot be told from another", urlSig)
	}
	if strings.ContainsAny(hosts, "?&=") {
		return nil, errors.New("no host has ?, & or =")
	}
	t := new(Target)
	for host := range strings.SplitSeq(hosts, ",") {
		e, err := parseHost(host)
		if err != nil {
			return nil, err
		}
		t.Endpoints = append(t.Endpoints, e)
	}
	if err := xlreg.ValidateEndpoints(t.Endpoints); err != nil {
		return nil, err
	}
	fingerprint, err := parseQuery(query)
	if err != nil {
		return nil, err
	}
	t.Fingerprint = fingerprint
	return t, nil
}

func parseHost(s string) (xlreg.Endpoint, error) {
	if !strings.Contains(s, ":") || strings.HasSuffix(s, "]") {
		s += ":" + strconv.Itoa(xlreg.DefaultPort)
	}
	return xlreg.ParseEndpoint(s)
}

func parseQuery(query string) (fingerprint string, err error) {
	if query == "" {
		return "", fmt.Errorf("no %s", urlSig)
	}
	for parameter := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(parameter, "=")
		if key == urlCluster {
			return "", ErrTicket
		}
		if key != urlSig {
			return "", fmt.Errorf("unknown parameter %.16q", key)
		}
		if fingerprint != "" {
			return "", fmt.Errorf("%s is there twice", urlSig)
		}
		sum, err := keys.ParseFingerprint(value)
		if err != nil {
			return "", fmt.Errorf("%s: want a fingerprint, 43 characters of base64url", urlSig)
		}
		fingerprint = keys.FormatFingerprint(sum)
	}
	return fingerprint, nil
}

// URL returns the line that ParseURL reads.
func (t *Target) URL() (string, error) {
	if len(t.Endpoints) == 0 {
		return "", errors.New("registry url: no endpoint")
	}
	sum, err := keys.ParseFingerprint(t.Fingerprint)
	if err != nil {
		return "", fmt.Errorf("registry url: %w", err)
	}
	hosts := make([]string, 0, len(t.Endpoints))
	for _, e := range t.Endpoints {
		hosts = append(hosts, string(e))
	}
	sig := base64.RawURLEncoding.EncodeToString(sum[:])
	return urlPrefix + strings.Join(hosts, ",") + "/?" + urlSig + "=" + sig, nil
}
