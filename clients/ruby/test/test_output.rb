# frozen_string_literal: true

require_relative 'real'
require 'xlreg/cli'

# What is shown of rosters: tables that fit, and nothing of keys.
class TestOutput < Minitest::Test
  include Real

  NOW = Time.utc(2026, 3, 4, 12)
  KEYS = Xlreg::TestHelper.keys(0)

  def roster(*members)
    cluster = Xlreg::Cluster.new(id: Xlreg::ClusterID.new('c' * 20), name: 'web', attrs: 0, size: 64, endpoint_count: 1)
    Xlreg::Roster.new(cluster: cluster, members: members)
  end

  def member(index, name, ends, joined: nil, verified: false)
    token = Xlreg::Token.new(name: name, comms_key: KEYS.comms_key, sig_key: KEYS.sig_key, joined: joined,
                             id: Xlreg::NodeID.new([index].pack('C') * 20), endpoints: Xlreg::Endpoint.all(ends))
    Xlreg::Member.new(index: index, token: token, verified: verified)
  end

  def two
    roster(member(0, 'a', ['192.0.2.1:1', '[::1]:2'], joined: NOW - 5, verified: true), member(10, 'longer', []))
  end

  HEAD = "cluster web  #{'63' * 6}…\n2 of 64 members\n\n".freeze
  BESIDE = <<~TEXT
    INDEX  NAME    ENDPOINTS            JOINED  VERIFIED
    0      a       192.0.2.1:1,[::1]:2  5s ago  yes
    10     longer  -                    -       no
  TEXT
  BELOW = <<~TEXT
    INDEX  NAME    ENDPOINTS    JOINED  VERIFIED
    0      a       192.0.2.1:1  5s ago  yes
                   [::1]:2
    10     longer  -            -       no
  TEXT
  PARAGRAPHS = <<~TEXT
    0  a
       192.0.2.1:1
       [::1]:2
       joined 5s ago, verified: yes
    10  longer
       joined -, verified: no
  TEXT
  LAYOUTS = { { width: nil } => BESIDE, { width: 50, fold: true } => BELOW, { width: 30, fold: true } => PARAGRAPHS,
              { width: 30 } => BELOW }.freeze

  def test_tables_fit
    LAYOUTS.each do |layout, text|
      assert_equal HEAD + text, Xlreg::Output.new('table', now: NOW, **layout).roster(two), layout.inspect
    end
    [50, 80].each do |width|
      many = Array.new(64) { |i| member(i, "member#{i}", ['192.168.100.100:65535'] * 2, joined: NOW - (3000 * 86_400)) }
      text = Xlreg::Output.new('table', width: width, fold: true, now: NOW).roster(roster(*many))
      assert_operator text.lines(chomp: true).map(&:size).max, :<=, width
    end
  end

  def test_everything_is_in_the_wide_table
    text = Xlreg::Output.new('wide', width: 50, fold: true, now: NOW).roster(two)
    ['63' * 20, '00' * 20, '0a' * 20, KEYS.fingerprint, '2026-03-04T11:59:55Z', 'SIG KEY'].each do |part|
      assert_includes text, part
    end
  end

  def test_ages
    { 0 => '0s ago', 59 => '59s ago', 60 => '1m ago', 3600 => '1h ago', 47 * 3600 => '47h ago', 172_800 => '2d ago',
      -5 => '0s ago' }.each do |seconds, text|
      shown = Xlreg::Output.new('table', now: NOW).roster(roster(member(0, 'a', [], joined: NOW - seconds)))
      assert_includes shown, " #{text} "
    end
  end

  def test_how_wide_it_is
    ENV['COLUMNS'] = '33'
    assert_equal 33, Xlreg::Output.width(StringIO.new)
    ENV.delete('COLUMNS')
    assert_equal 80, Xlreg::Output.width(StringIO.new)
  end

  # Whatever shows a value, puts, p, pp or a debugger: names, and no bytes of keys.
  def test_nothing_shows_keys
    reply = Xlreg::Classic::HelloReply.make(Xlreg::Protocol::V18)
    secrets = [KEYS.sig_key, KEYS.comms_key, KEYS.sig.d.to_s(2), reply.key2].map { |secret| secret.b[5, 8] }
    shown = {
      two => ['a', 'longer unverified'], two.members[0] => ['a'], two.members[0].token => ['a'],
      two.cluster => ['web'], node(0) => ['m0'], KEYS => ['SHA256:'], reply => ['1.8'],
      [two] => ['a'], { two => 1 } => ['longer'], Xlreg::Classic::Hello.make(Xlreg::Protocol::V19) => ['1.9'],
      Xlreg::Codec::Cipher.new(reply) => ['Cipher'], Xlreg::Progress.new(roster: two) => ['longer'],
      Xlreg::Wire::Requests.member(two.members[0].token) => ['Member']
    }
    shown.each do |value, words|
      [value.inspect, value.to_s, capture_io { pp value }[0]].each do |text|
        words.each { |word| assert_includes text, word } unless text.match?(/:0x\h+>/)
        bytes = text.b
        secrets.each { |secret| refute [secret.inspect[1..-2].b, secret].any? { |form| bytes.include?(form) }, text }
      end
    end
  end

  def test_a_client_shows_no_keys_either
    with_registry do |registry|
      %w[2.0 1.9].each do |protocol|
        Xlreg::Client.open(registry.reg_cred, node: node(0), protocol: protocol) do |client|
          assert_equal "#<Xlreg::Client of #{registry.cred.fingerprint} over #{protocol}>", client.inspect
          session = client.instance_variable_get(:@dialogue).instance_variable_get(:@session)
          assert_match(/\A#<Xlreg::Session::\w+ #{protocol} open>\z/, session.inspect)
        end
      end
    end
  end
end
