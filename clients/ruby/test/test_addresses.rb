# frozen_string_literal: true

require_relative 'fake'

# Which addresses are found for those that leave them out, and which are doubted.
class TestAddresses < Minitest::Test
  include Real

  SIG = "SHA256:#{'A' * 43}".freeze
  NO_LIMIT = Xlreg::Limit.new(nil)

  def target(*endpoints) = Xlreg::Target.new(endpoints: endpoints, fingerprint: SIG)

  def find(text, *registry)
    Xlreg::OwnAddress.new(text).endpoint(target(*registry), NO_LIMIT).to_s
  end

  # Runs the block on a machine with an interface x0 of these addresses.
  def with_interface(*addresses, &)
    one = Struct.new(:name, :addr)
    found = [one.new('x0', nil), *addresses.map { |address| one.new('x0', Addrinfo.ip(address)) }]
    Socket.stub(:getifaddrs, found, &)
  end

  def test_what_is_given_is_taken_as_it_is
    %w[a.example:1 192.0.2.1:1 [::1]:1].each { |text| assert_equal text, find(text, '127.0.0.1:1') }
  end

  def test_the_address_that_faces_the_registry
    assert_equal '127.0.0.1:7001', find(':7001', '127.0.0.1:1')
    assert_equal '[::1]:7001', find(':7001', '[::1]:1')
    assert_equal '127.0.0.1:7001', find(':7001', '[2001:db8::1]:1', '127.0.0.1:1') unless routed?('2001:db8::1')
    look = ->(*) { raise SocketError, 'unknown' }
    Addrinfo.stub(:getaddrinfo, look) do
      error = assert_raises(Xlreg::UnresolvedError) { find(':7001', 'gone.example:1') }
      assert_match(/no way to the registry, so no address of this machine to take: unknown/, error.message)
    end
  end

  def routed?(address)
    Addrinfo.udp(address, 1).connect { true }
  rescue SystemCallError
    false
  end

  def test_the_address_of_an_interface
    { %w[fe80::1 2001:db8::1 192.0.2.7] => '192.0.2.7:1', %w[fe80::1 2001:db8::1] => '[2001:db8::1]:1',
      %w[fe80::1%lo] => '[fe80::1]:1', %w[169.254.0.1 2001:db8::1] => '[2001:db8::1]:1' }.each do |addresses, endpoint|
      with_interface(*addresses) { assert_equal endpoint, find('x0:1', '127.0.0.1:1') }
    end
    with_interface { assert_raises(Xlreg::UnresolvedError) { find('x0:1', '127.0.0.1:1') } }
  end

  def test_what_is_none
    ['7001', '', ':', ':0', ':70000', 'x0', '-x:1'].each do |text|
      assert_raises(Xlreg::EndpointError, text) { Xlreg::OwnAddress.new(text) }
      next if text.empty?

      assert_raises(Xlreg::AddressError, text) { Xlreg::Addresses.of([], [text], target('127.0.0.1:1'), NO_LIMIT) }
    end
  end

  # An interface that has none yet may get it while the node waits.
  def test_it_is_looked_for_again
    me = node(0)
    answers = [*[[]] * 4, [Struct.new(:name, :addr).new('x0', Addrinfo.ip('192.0.2.7'))]]
    FakeRegistry.run('2.0') do |fake|
      fake.join(node(1, endpoints: ['127.0.0.1:7002']), FakeRegistry::OTHER_ID)
      interfaces = -> { (answers.size > 1 ? answers.shift : answers[0]) + [Struct.new(:name, :addr).new('x0', nil)] }
      told = []
      Socket.stub(:getifaddrs, interfaces) do
        Xlreg.form(fake.cred, node: me, cluster: 'web', size: 2, advertise: ['x0:7001'], timeout: PATIENCE) do |now|
          told << now.error.class if now.error
        end
      end
      assert_equal [Xlreg::UnresolvedError], told.uniq
      assert_equal ['192.0.2.7:7001'], me.endpoints.map(&:to_s)
    end
  end

  def doubts(address, registry) = Xlreg::Addresses.doubts([Xlreg::Endpoint.new(address)], target(registry), NO_LIMIT)

  def test_doubts
    %w[127.0.0.1:1 localhost:1 [::1]:1].each { |address| assert_empty doubts(address, '127.0.0.1:9') }
    assert_match(/link-local/, doubts('169.254.3.4:1', '127.0.0.1:9')[0])
    assert_match(/link-local/, doubts('[fe80::1]:1', '127.0.0.1:9')[0])
    assert_empty doubts('192.0.2.1:1', '127.0.0.1:9')
    Xlreg::OwnAddress.stub(:towards, '192.0.2.9') do
      doubt, = doubts('127.0.0.1:1', '192.0.2.8:9')
      assert_match(/own loopback, and the registry is elsewhere.*; :1 in its place/, doubt)
    end
  end

  def test_members_that_claim_one_address
    FakeRegistry.run('2.0') do |fake|
      fake.join(node(0, endpoints: ['192.0.2.1:1', '192.0.2.1:2']), FakeRegistry::NODE_ID)
      fake.join(node(1, endpoints: ['192.0.2.1:2', '192.0.2.1:3']), FakeRegistry::OTHER_ID)
      warnings = Xlreg::Client.open(fake.cred) { |client| client.members('web').warnings }
      assert_equal ['m0 and m1 say that they are at 192.0.2.1:2: give each an address of its own'], warnings
    end
  end
end
