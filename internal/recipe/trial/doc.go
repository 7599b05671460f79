// Package trial has the tests that run builtin recipes with the real systems: they form, are
// whole by their own account, keep their data, refuse strangers, outlive a member, and leave
// nothing behind.
package trial
