# frozen_string_literal: true

require_relative 'fake'

# Machines whose clocks are wrong until somebody puts them right.
class TestClock < Minitest::Test
  include Real

  Op = FakeRegistry::Op
  YEAR = 365 * 86_400

  # A registry whose certificate is from another time on the first connections, and then from now.
  def wrong_at_first(times, since)
    wrong = Handshakes.tls(since: since)
    right = Handshakes.tls
    ->(socket) { ((times -= 1) >= 0 ? wrong : right).call(socket) }
  end

  def form(fake, **more, &)
    me = node(0, endpoints: ['127.0.0.1:7001'])
    fake.join(node(1, endpoints: ['127.0.0.1:7002']), FakeRegistry::OTHER_ID)
    Xlreg.form(fake.cred, node: me, cluster: 'web', size: 2, timeout: PATIENCE, **more, &)
  end

  # To the client it is the same whether its own clock is behind or the registry's ahead.
  def test_it_is_tried_again_until_the_clock_is_right
    [Time.now + YEAR, Time.now - YEAR].each do |since|
      told = []
      FakeRegistry.run('2.0', handshake: wrong_at_first(3, since)) do |fake|
        assert_equal 0, form(fake) { |now| told << now.error if now.error }.roster.missing
      end
      assert_equal [Xlreg::ClockError] * 3, told.flat_map(&:failures).map(&:class)
    end
  end

  def test_the_error_says_whose_clock_and_by_how_much
    FakeRegistry.run('2.0', handshake: Handshakes.tls(since: Time.now + YEAR)) do |fake|
      error = assert_raises(Xlreg::IncompleteError) { form(fake, timeout: 3) }
      assert_match(/this machine's says \d{4}-.*this clock is behind by 36[45] days at least/, error.message)
      error = assert_raises(Xlreg::UnreachableError) { Xlreg::Client.open(fake.cred.url, timeout: 3) }
      assert_kind_of Xlreg::ClockError, error.failures.last
    end
  end

  # The signature is looked at first: a stranger's dates are no clock's fault.
  def test_a_stranger_is_none_of_that
    handshake = Handshakes.tls(since: Time.now + YEAR, signer: FakeRegistry::OTHER)
    FakeRegistry.run('2.0', handshake: handshake) do |fake|
      assert_raises(Xlreg::UntrustedError) { form(fake) }
    end
  end

  def test_a_roster_warns_of_a_member_whose_clock_is_ahead
    early = node(1, endpoints: ['127.0.0.1:7002'])
    FakeRegistry.run('2.0') do |fake|
      fake.join(early, FakeRegistry::OTHER_ID, now: Time.now + (3 * 86_400))
      fake.join(node(2), Xlreg::NodeID.new('3' * 32))
      roster = Xlreg::Client.open(fake.cred) { |client| client.members('web') }
      assert_equal %w[m1 m2], roster.members.select(&:verified?).map(&:name)
      assert_equal 1, roster.warnings.size
      assert_match(/member "m1" is not valid before .*, in 2 days: its clock is ahead/, roster.warnings[0])
      assert_empty roster.warnings(now: Time.now + (4 * 86_400))
    end
  end

  # A certificate that was made while the clock was wrong is made anew when it is right.
  def test_a_node_mends_its_certificate
    [Time.at(0), Time.now + YEAR].each do |wrong|
      node = node(0)
      first = node.certificate(now: wrong)
      renewed = node.certificate
      refute_equal first, renewed
      assert_operator OpenSSL::X509::Certificate.new(renewed).not_before, :<, Time.now
    end
  end
end
