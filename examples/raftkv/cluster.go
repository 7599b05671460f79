package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// cluster is who the members are, and how they know each other.
type cluster struct {
	members []member
	index   int // of this one
	tls     *tls.Config
}

type member struct {
	name string
	raft string // host:port
	http string // host:port
}

func (c *cluster) self() member { return c.members[c.index] }

// readCluster reads what xlreg has put into the environment.
func readCluster() (*cluster, error) {
	names, err := readNames(os.Getenv("XLREG_ROSTER"))
	if err != nil {
		return nil, fmt.Errorf("start this with 'xlreg run': %w", err)
	}
	raft := strings.Split(os.Getenv("XLREG_ENDPOINTS_RAFT"), ",")
	http := strings.Split(os.Getenv("XLREG_ENDPOINTS_HTTP"), ",")
	if len(raft) != len(names) || len(http) != len(names) {
		return nil, fmt.Errorf("%d members, but addresses of %d for Raft and of %d for HTTP: reserve both with --ports raft,http", len(names), len(raft), len(http))
	}
	c := &cluster{index: slices.Index(names, os.Getenv("XLREG_SELF"))}
	if c.index < 0 {
		return nil, errors.New("XLREG_SELF is no member of the roster")
	}
	for i, name := range names {
		c.members = append(c.members, member{name: name, raft: raft[i], http: http[i]})
	}
	c.tls, err = mutualTLS(os.Getenv("XLREG_TLS_CERT"), os.Getenv("XLREG_TLS_KEY"), os.Getenv("XLREG_TLS_PEERS"))
	return c, err
}

// readNames returns the names of all members, in the order of their indexes.
func readNames(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var roster struct {
		Members []struct {
			Name string `json:"name"`
		} `json:"members"`
	}
	if err := json.Unmarshal(data, &roster); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var names []string
	for _, m := range roster.Members {
		names = append(names, m.Name)
	}
	return names, nil
}

// mutualTLS accepts exactly the members, whichever end they are on.
func mutualTLS(cert, key, peers string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(peers)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("no certificates in %s", peers)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		RootCAs:      pool,
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}, nil
}
