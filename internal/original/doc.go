// Package original is a fake of the original registry servers, 1.8.4 and 1.9.24, for
// tests of clients in every language.
//
// It shares nothing with this project's own server: carrier, messages, states and
// records are written again, from the facts that are known of the originals. Code in
// common would make the same mistake at both ends, and a client would pass on it. For
// the same reason it does what the originals do where that is odd, and is as strict as
// they are: one read is one message, a request without Which asks for nobody, and any
// message out of turn is an Error and the end of the session.
package original
