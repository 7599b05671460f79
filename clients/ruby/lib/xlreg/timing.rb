# frozen_string_literal: true

module Xlreg
  # How many seconds the parts of a session may take. The README has a table of what follows from them for
  # each call. Tests use shorter ones.
  #
  # Nothing waits longer than 30 seconds at a time. By then a connection that died without a word is noticed,
  # because the registry's machine lost power, for example, or a firewall forgot the connection. A wait for
  # members notices after 25, which leaves 10 of the promised 35 seconds for connecting again.
  # @api private
  Timing = Struct.new(:call, :dial, :connect, :head_start, :gap, :spread, :stall, :handshake, :answer, :wait, :margin,
                      :message, :bye, :stranger, keyword_init: true) do
    include Value

    # @return [Float] seconds from one of so many endpoints to the next
    def apart(endpoints) = [gap, spread / endpoints].min

    # @return [Timing] the same, so many times as fast
    def faster(times) = with(**to_h.transform_values { |seconds| seconds / times })
  end

  Timing::DEFAULT = Timing.new(
    call: 60.0, # for a call that is given no timeout
    dial: 30.0, # for a session to come about, for those who are given no timeout
    connect: 5.0, # for one address to answer
    head_start: 0.25, # of one address of a name, until the next is tried beside it
    gap: 0.5, # from one endpoint to the next, while none has completed a handshake
    spread: 3.0, # from the first endpoint to the last; where there are many, they are closer together
    stall: 10.0, # between the bytes of what has begun to come or go
    handshake: 30.0, # for a handshake as a whole
    answer: 25.0, # for an answer to begin that does not wait for members
    wait: 18.0, # for members, in one request; a registry then answers with those that have come
    margin: 7.0, # for that answer to begin
    message: 300.0, # for a message as a whole: 2.4 MB at 64 kbit/s, thirty rosters of 32
    bye: 1.0, # for the answer to a goodbye
    stranger: 30.0 # from one look for a registry to the next, at most, while somebody else answers at its address
  )
end
