# frozen_string_literal: true

require_relative 'fake'

# The table of the README that says how long each call can take. The times are those of Timing; here they are
# shorter.
class TestTiming < Minitest::Test
  include Real

  Op = FakeRegistry::Op
  README = File.read(File.expand_path('../README.md', __dir__))
  ROWS = README[/^\| call \|.*?\n\n/m].lines.drop(2).map { |line| line.split('|')[1, 3].map(&:strip) }.freeze
  REAL = Xlreg::Timing::DEFAULT
  FASTER = 50
  FAST = REAL.faster(FASTER)
  # For all but the session itself, which a busy machine needs more time for.
  OPEN = FAST.with(**%i[dial connect stall handshake].to_h { |name| [name, REAL[name]] })
  SLACK = 10.0 # of a machine that does much else
  SILENT = [Op::MEMBER, Op::CREATE, Op::JOIN, Op::GET_CLUSTER, Op::REG_CRED_REQUEST, Op::LEAVE, Op::BYE]
           .to_h { |op| [op, ->(_) { :silence }] }.freeze
  CALLS = {
    'register' => :register.to_proc, 'login' => :login.to_proc, 'registry' => :registry.to_proc,
    'create' => ->(client) { client.create('web', size: 2) }, 'cluster' => ->(client) { client.cluster('web') },
    'join' => ->(client) { client.join('web') }, 'members' => ->(client) { client.members('web') },
    'leave' => ->(client) { client.leave('web') }
  }.freeze

  # @return [Array(String, String)] what the table says of a call: at most, and in silence
  def self.row(call) = ROWS.find { |calls, _, _| calls.include?("`#{call}`") }.drop(1)

  def options(cred, node: known, timing: OPEN) = Xlreg::Options.of(cred, node: node, timing: timing)

  # A node that has an ID from the fake.
  def known
    node(0).tap do |node|
      sig = Xlreg::PublicKey.fingerprint(Xlreg::PublicKey.der(FakeRegistry::SIG))
      node.update_registration(Xlreg::Registration.new(sig: sig, id: FakeRegistry::NODE_ID))
    end
  end

  def session(cred, **more) = Xlreg::Client.new(Xlreg::Dialogue.open(options(cred, **more), Xlreg::Limit.new(nil)))

  # Makes sure that the block fails after so many seconds of the real ones, by the clock of the tests.
  def takes(seconds, kind, &)
    began = Xlreg::Clock::REAL.now
    assert_raises(kind, &)
    took = Xlreg::Clock::REAL.now - began
    assert_includes (seconds / FASTER) - 0.01..(seconds / FASTER) + SLACK, took
  end

  def test_the_table_is_true_to_the_times
    waiting = [nil, REAL.wait + REAL.margin]
    { 'Client.open' => [REAL.dial, REAL.dial], 'register' => [REAL.call, REAL.answer], 'Client#wait' => waiting,
      'Client#close' => [REAL.bye, REAL.bye], 'Membership#refresh' => [REAL.call, REAL.call],
      'Xlreg.form' => waiting }.each do |call, times|
      said = TestTiming.row(call).map { |text| text == 'no end' ? nil : text[/\A(\d+) s/, 1].to_f }
      assert_equal times, said, call
    end
    assert_includes README, "is given #{REAL.message.to_i} seconds"
    assert_equal TestTiming.row('register'), TestTiming.row('leave')
    CALLS.each_key { |call| refute_nil TestTiming.row(call) }
  end

  def test_open
    FakeRegistry.run('2.0', handshake: Handshakes.silent) do |fake|
      takes(REAL.dial, Xlreg::UnreachableError) { session(fake.cred, timing: FAST) }
    end
    gone = Xlreg::Target.new(endpoints: ['127.0.0.1:1'], fingerprint: "SHA256:#{'A' * 43}")
    takes(REAL.dial, Xlreg::UnreachableError) { session(gone, timing: FAST) }
  end

  CALLS.each do |name, call|
    define_method("test_#{name}_in_silence") do
      FakeRegistry.run('2.0', SILENT) do |fake|
        client = session(fake.cred)
        takes(REAL.answer, Xlreg::SessionEndedError) { call.call(client) }
        client.close
      end
    end

    define_method("test_#{name}_at_most") do
      FakeRegistry.run('2.0', SILENT) do |fake|
        client = session(fake.cred, timing: OPEN.with(answer: 100.0))
        takes(REAL.call, Xlreg::SessionEndedError) { call.call(client) }
        client.close
      end
    end
  end

  def test_wait
    FakeRegistry.run('2.0', SILENT) do |fake|
      client = session(fake.cred)
      takes(REAL.wait + REAL.margin, Xlreg::SessionEndedError) { client.wait('web', size: 2) }
      client.close
    end
  end

  # Nobody waits for the rest of a goodbye.
  def test_close
    FakeRegistry.run('2.0', SILENT) do |fake|
      client = session(fake.cred)
      began = Xlreg::Clock::REAL.now
      2.times { client.close }
      assert_operator Xlreg::Clock::REAL.now - began, :<, (REAL.bye / FASTER) + SLACK
    end
  end

  def test_refresh_and_leave
    FakeRegistry.run('2.0') do |fake|
      me = node(0, endpoints: ['127.0.0.1:7001'])
      fake.join(node(1), FakeRegistry::OTHER_ID)
      known = Xlreg.form(fake.cred, node: me, cluster: 'web', size: 2).roster
      slow = options(fake.cred, node: me, timing: OPEN.with(answer: 100.0))
      place = Xlreg::Place.new(id: FakeRegistry::NODE_ID, key: me.keys.sig_key)
      membership = Xlreg::Membership.new(slow, known, place)
      fake.script.merge!(SILENT)
      takes(REAL.call, Xlreg::SessionEndedError) { membership.refresh }
      takes(REAL.call, Xlreg::SessionEndedError) { membership.leave }
    end
  end

  # They connect again, and again, until the registry says something.
  def test_form_and_await
    FakeRegistry.run('2.0', { Op::GET_CLUSTER => ->(_) { :silence } }) do |fake|
      node = node(0, endpoints: ['127.0.0.1:7001'])
      plan = Xlreg::Plan.new(options: options(fake.cred, node: node), ref: Xlreg::ClusterRef.of('web'), size: 2)
      [Xlreg::Formation.new(plan, stopping), reader(fake)].each do |waiting|
        takes(REAL.wait + REAL.margin, StopIteration) { waiting.run(Xlreg::Limit.new(nil)) }
      end
    end
  end

  def reader(fake) = Xlreg::Awaiting.new(options(fake.cred), Xlreg::ClusterRef.of('web'), 2, stopping)

  def stopping = ->(now) { raise StopIteration if now.error }

  # A timeout that is given counts, whatever else would.
  def test_a_timeout_that_is_given
    FakeRegistry.run('2.0', SILENT) do |fake|
      client = session(fake.cred, timing: REAL)
      takes(0.2 * FASTER, Xlreg::SessionEndedError) { client.registry(timeout: 0.2) }
      client.close
      takes(0.2 * FASTER, Xlreg::IncompleteError) { Xlreg.await(fake.cred, 'web', timeout: 0.2) }
    end
  end
end
