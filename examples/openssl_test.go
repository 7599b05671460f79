package examples

import (
	"bufio"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What is built on OpenSSL tells members from others too, on either end, and so
// does curl. A member's server is shown to members alone, and a member asks
// members alone.
func TestOpenSSLAndCurlRefuseStrangers(t *testing.T) {
	r := start(t, "sleep", "1000")
	m0, peers := r.of("m0")
	m1, _ := r.of("m1")
	others := strangers(t)

	at := serve(t, m0, peers)
	clients := map[string]func(who files) error{
		"curl":    func(who files) error { return curl(t, "https://"+at, peers, who) },
		"openssl": func(who files) error { return sClient(t, at, peers, who) },
	}
	for name, ask := range clients {
		if err := ask(m1); err != nil {
			t.Errorf("%s, a member: %v", name, err)
		}
		if err := ask(files{}); err == nil {
			t.Errorf("%s: somebody without a certificate is served", name)
		}
		for who, stranger := range others {
			if err := ask(stranger); err == nil {
				t.Errorf("%s: %s is served", name, who)
			}
		}
	}
	for who, stranger := range others {
		at := serve(t, stranger, peers)
		if err := curl(t, "https://"+at, peers, m1); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("curl: %s passes for a member: %v", who, err)
		}
		if err := sClient(t, at, peers, m1); err == nil {
			t.Errorf("openssl: %s passes for a member", who)
		}
	}
}

// serve starts a server of OpenSSL, which ends with the test, and returns where.
func serve(t *testing.T, who files, peers string) string {
	t.Helper()
	cmd := command(t, "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cert", who.cert, "-key", who.key,
		"-CAfile", peers, "-no-CApath", "-Verify", "1", "-verify_return_error")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if found := regexp.MustCompile(`^ACCEPT (127\.0\.0\.1:[0-9]+)`).FindStringSubmatch(lines.Text()); found != nil {
			go func() {
				defer close(drained)
				_, _ = io.Copy(io.Discard, out)
			}()
			return found[1]
		}
	}
	close(drained)
	t.Fatal("openssl s_server did not start")
	return ""
}

// sClient asks with a client of OpenSSL.
func sClient(t *testing.T, at, peers string, who files) error {
	t.Helper()
	args := []string{
		"s_client", "-connect", at, "-CAfile", peers, "-no-CApath", "-verify_return_error",
		"-verify_ip", "127.0.0.1", "-quiet",
	}
	if who.cert != "" {
		args = append(args, "-cert", who.cert, "-key", who.key)
	}
	cmd := command(t, "openssl", args...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.0\r\n\r\n")
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "HTTP/1.0 200") {
		return nil
	}
	if err == nil {
		err = &exec.Error{Name: "s_client", Err: io.ErrUnexpectedEOF}
	}
	return err
}
