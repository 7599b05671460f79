# frozen_string_literal: true

module Xlreg
  # How many seconds the parts of a session may take. The README has a table of what follows from them for
  # each call. Tests have shorter ones.
  #
  # Nothing waits longer than 30 seconds at a time, so that a connection that died without a word is
  # noticed by then: the registry's machine lost its power, or a firewall forgot the connection.
  # @api private
  Timing = Struct.new(:call, :dial, :connect, :stall, :handshake, :answer, :wait, :margin, :message, :bye,
                      keyword_init: true) do
    include Value

    # @return [Timing] the same, so many times as fast
    def faster(times) = with(**to_h.transform_values { |seconds| seconds / times })
  end

  Timing::DEFAULT = Timing.new(
    call: 60.0, # for a call that is given no timeout
    dial: 30.0, # for a session to come about, for those who are given no timeout
    connect: 5.0, # for one address to answer
    stall: 10.0, # between the bytes of what has begun to come or go
    handshake: 30.0, # for a handshake as a whole
    answer: 25.0, # for an answer to begin that does not wait for members
    wait: 25.0, # for members, in one request; a registry then answers with those there are
    margin: 5.0, # for that answer
    message: 300.0, # for a message as a whole: 2.4 MB at 64 kbit/s, thirty rosters of 32
    bye: 1.0 # for the answer to a goodbye
  )
end
