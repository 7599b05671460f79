# frozen_string_literal: true

require_relative 'fake'
require 'timeout'

# Endpoints and addresses that lead nowhere hold up nobody.
class TestRace < Minitest::Test
  include Real

  # Something to be closed, which tells.
  Prize = Struct.new(:name, :closed) do
    def close = self.closed = true
  end

  def race(head_start, *entrants) = Xlreg::Race.run(entrants, head_start, Xlreg::Error, &:call)

  def loses(text = 'lost') = -> { raise Xlreg::HandshakeError, text }

  def wins(name) = -> { Prize.new(name) }

  def test_one_or_none
    assert_equal [Prize.new('a'), []], race(1, wins('a'))
    assert_equal [nil, []], race(1)
    assert_equal [nil, ['lost']], (race(1, loses).then { |won, lost| [won, lost.map(&:message)] })
  end

  def test_those_behind_the_first_that_succeeds_are_left_alone
    assert_equal 'b', race(PATIENCE, loses, wins('b'), -> { flunk })[0].name
  end

  def test_the_failures_are_in_order
    gate = Queue.new
    first = -> { gate.pop && loses('a').call }
    last = -> { gate.push(true) && loses('b').call }
    won, lost = race(0.01, first, last)
    assert_equal [nil, %w[a b]], [won, lost.map(&:message)]
  end

  # The second gets there while the first goes nowhere, and the third too late.
  def test_who_is_late_is_closed
    late = Prize.new('c')
    gate = Queue.new
    second = -> { gate.pop && Prize.new('b') }
    third = -> { late.tap { gate.push(true) } }
    won, = race(0.01, -> { sleep }, second, third)
    assert_includes %w[b c], won.name
    assert late.closed || won.equal?(late)
  end

  def test_what_is_not_expected_is_raised
    assert_raises(ZeroDivisionError) { race(0.01, loses, -> { 1 / 0 }) }
    assert_raises(ZeroDivisionError) { race(0.01, -> { 1 / 0 }) }
  end

  # What a thread has opened is closed however it ends, unless somebody else has taken it.
  def test_a_thread_that_is_ended
    sockets = Queue.new
    thread = Xlreg::Worker.start do
      2.times { sockets << Xlreg::Worker.open { Socket.new(:INET, :STREAM) } }
      sleep
    end
    opened = Array.new(2) { sockets.pop }
    thread.kill.join
    assert opened.all?(&:closed?)
    given = nil
    Xlreg::Worker.start { Xlreg::Worker.open { Socket.new(:INET, :STREAM) } && given = Xlreg::Worker.let_go }.join
    refute_predicate given.first, :closed?
    Xlreg::Worker.start { Xlreg::Worker.take(given) }.join
    assert_predicate given.first, :closed?
  end

  # A machine that says nothing is one whose queue of connections is full.
  def test_a_connection_under_way_is_closed
    silent = Socket.tcp_server_sockets('127.0.0.1', 0).first.tap { |server| server.listen(0) }
    endpoint = Xlreg::Endpoint.new("127.0.0.1:#{silent.local_address.ip_port}")
    queue = Array.new(3) { Socket.new(:INET, :STREAM).tap { |one| dial(one, silent) } }
    leaving_nothing_open do
      thread = Xlreg::Worker.start { Xlreg::Transport.connect(endpoint, Xlreg::Limit.new(nil), SLOW) }
      Thread.pass until thread.stop?
      assert thread.alive?
      thread.kill.join
    end
  ensure
    [silent, *queue].compact.each(&:close)
  end

  SLOW = Xlreg::Timing::DEFAULT.with(connect: PATIENCE)

  def dial(socket, server) = socket.connect_nonblock(server.local_address, exception: false)

  def test_nothing_is_left_behind
    before = Thread.list
    Timeout.timeout(0.2) { race(0.01, -> { sleep }, -> { sleep }) }
  rescue Timeout::Error
    assert_empty Thread.list - before
  end

  # More than a credential is likely to have, and all of them silent.
  def test_a_credential_whose_endpoints_are_dead_but_for_the_last
    leaving_nothing_open do
      silent = Array.new(8) { TCPServer.new('127.0.0.1', 0) } # the system accepts, and nobody says a word
      FakeRegistry.run('2.0') do |fake|
        dead = silent.map { |server| "127.0.0.1:#{server.local_address.ip_port}" }
        began = Xlreg::Clock::REAL.now
        open_in_order(dead, fake.cred)
        took = Xlreg::Clock::REAL.now - began
        assert_operator took, :>=, 8 * Xlreg::Timing::DEFAULT.apart(9)
        assert_operator took, :<, 8 * Xlreg::Timing::DEFAULT.stall # one after the other they would take that long
      end
    ensure
      silent.each(&:close)
    end
  end

  # Opens a session with dead endpoints before those of the credentials.
  def open_in_order(dead, cred)
    target = Xlreg::Target.new(endpoints: [*dead, *cred.endpoints], fingerprint: cred.fingerprint)
    options = Xlreg::Options.of(target).with(route: Xlreg::Route.new(random: AsGiven.new))
    Xlreg::Dialogue.open(options, Xlreg::Limit.new(PATIENCE)) { |dialogue| refute dialogue.protocol.classic? }
  end

  def test_a_host_whose_addresses_are_dead_but_for_the_last
    TCPServer.open('127.0.0.1', 0) do |server|
      port = server.local_address.ip_port
      dead = Array.new(8) { Addrinfo.tcp('127.0.0.1', port) }
      dead.each { |address| address.define_singleton_method(:connect) { |**| sleep } }
      Addrinfo.stub(:getaddrinfo, ->(*) { [*dead, Addrinfo.tcp('127.0.0.1', port)] }) do
        timing = Xlreg::Timing::DEFAULT.with(head_start: 0.01)
        Xlreg::Transport.connect(Xlreg::Endpoint.new("many.example:#{port}"), Xlreg::Limit.new(PATIENCE), timing).close
      end
    end
  end
end
