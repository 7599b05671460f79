package etcd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

var errNotAHost = errors.New("etcd: the URL has something that is not a host with a port")

const scheme = "etcd://"

// Parse takes a URL such as etcd://h1:2379,h2:2379/prod apart. What it says of a wrong
// one does not repeat it, because there could be a password in it.
func Parse(url string) (endpoints []string, prefix string, err error) {
	rest, ok := strings.CutPrefix(url, scheme)
	if !ok {
		return nil, "", errors.New("etcd: the URL does not begin with " + scheme)
	}
	if strings.Contains(rest, "@") {
		return nil, "", errors.New("etcd: a user or password does not belong in a URL; give the user by itself and the password in a file")
	}
	if strings.ContainsAny(rest, "?#%\\ ") {
		return nil, "", errors.New("etcd: the URL has more than hosts and a prefix")
	}
	hosts, prefix, _ := strings.Cut(rest, "/")
	for _, host := range strings.Split(hosts, ",") {
		end, err := endpoint(host)
		if err != nil {
			return nil, "", err
		}
		endpoints = append(endpoints, end)
	}
	return endpoints, strings.Trim(prefix, "/"), nil
}

// endpoint adds etcd's port where there is none.
func endpoint(host string) (string, error) {
	if host == "" {
		return "", errors.New("etcd: the URL has an empty host")
	}
	if h, port, err := net.SplitHostPort(host); err == nil && h != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", errNotAHost
		}
		return host, nil
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.Contains(bare, ":") && net.ParseIP(bare) == nil {
		return "", errNotAHost
	}
	return net.JoinHostPort(bare, "2379"), nil
}

// tls returns nil if TLS is not asked for. The client's certificate is read for each
// connection, so that a renewed one is used without a restart.
func (o *Options) tls() (*tls.Config, error) {
	if o.CA == "" && o.Cert == "" && o.Key == "" {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("read the CA of etcd: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the CA of etcd: no certificate in %s", o.CA)
		}
	}
	if o.Cert == "" && o.Key == "" {
		return cfg, nil
	}
	if _, err := tls.LoadX509KeyPair(o.Cert, o.Key); err != nil {
		return nil, fmt.Errorf("read the certificate for etcd: %w", err)
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		return &pair, err
	}
	return cfg, nil
}

// user returns the name and password, both empty if there is no user.
func (o *Options) user() (name, password string, err error) {
	if o.User == "" {
		return "", "", nil
	}
	content, err := os.ReadFile(o.PasswordFile)
	if err != nil {
		return "", "", fmt.Errorf("read the password for etcd: %w", err)
	}
	line := bufio.NewScanner(bytes.NewReader(content))
	if !line.Scan() || line.Text() == "" {
		return "", "", fmt.Errorf("read the password for etcd: nothing in the first line of %s", o.PasswordFile)
	}
	return o.User, line.Text(), nil
}
