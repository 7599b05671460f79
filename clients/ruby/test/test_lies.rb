# frozen_string_literal: true

require_relative 'fake'

# A registry that lies about a cluster with an owner, in every way that a client can find out by itself.
class TestLies < Minitest::Test
  include Real

  Op = FakeRegistry::Op
  Pb = Xlreg::Wire::Pb
  NODE_ID = FakeRegistry::NODE_ID
  OTHER_ID = FakeRegistry::OTHER_ID

  # A registry with such a cluster of two, which shows it as it is but for what it is told to change.
  class Liar
    attr_reader :ticket

    def initialize(fake, change)
      @fake = fake
      @change = change
      @ticket = Xlreg::Ticket.new_owner(fake.cred.url, 'web', size: 2)
      @other = Liar.token(Liar.peer(1), OTHER_ID, @ticket.admission(Liar.peer(1).keys.sig_key).encode)
      fake.script[Op::CREATE] = ->(_) { about(Op::CREATE_REPLY) }
      fake.script[Op::JOIN] = ->(message) { join(message.raw) }
      fake.script[Op::GET_CLUSTER] = ->(_) { lie }
    end

    class << self
      def peer(number, name = "m#{number}")
        Xlreg::Node.new(name: name, endpoints: ["127.0.0.1:#{7001 + number}"],
                        keys: Xlreg::TestHelper.keys(number, 'p256'))
      end

      # @return [Pb::Token] as it is in a roster
      def token(node, id, admission = '')
        made, = node.token(protocol: Xlreg::Protocol::V20, id: id, now: Time.now)
        raw = Xlreg::Wire::Requests.member(made).raw.MemberSpecs
        raw.Admission = admission
        raw
      end
    end

    private

    def about(code) = FakeRegistry.cluster_reply(code).tap { |message| message.raw.ClusterKey = @ticket.key }

    def join(raw)
      @joined = { Run: raw.Run, Admission: raw.Admission }
      about(Op::JOIN_REPLY)
    end

    def lie
      message = about(Op::CLUSTER_MEMBERS)
      message.raw.Tokens.replace([joined, Pb::Token.decode(@other.to_proto)].compact)
      FakeRegistry.finish(message)
      @change.call(message)
      message
    end

    # @return [Pb::Token, nil] who has joined
    def joined
      token = @fake.tokens[NODE_ID] or return
      raw = Xlreg::Wire::Requests.member(token.with(digsig: nil)).raw.MemberSpecs
      @joined.each { |field, value| raw[field.to_s] = value }
      raw
    end
  end

  # @return [Pb::Token] who is not the node itself
  def self.other(message) = message.raw.Tokens.find { |raw| raw.Name == 'm1' }

  # Changes the other one, and makes the sum that belongs to it.
  def self.of_other(&change)
    lambda do |message|
      change.call(other(message))
      FakeRegistry.finish(message)
    end
  end

  def self.without(*fields) = of_other { |raw| fields.each { |field| raw[field] = '' } }

  # Changes what is said of the cluster.
  def self.of_all(seal: false, &change)
    lambda do |message|
      change.call(message.raw)
      FakeRegistry.finish(message) if seal
    end
  end

  # Puts somebody in the other's place, with proofs that are right.
  def self.another(&admission)
    of_other do |raw|
      impostor = Liar.peer(5, 'm1')
      made = Liar.token(impostor, OTHER_ID, admission.call(raw, impostor.keys.sig_key))
      %w[CommsKey SigKey DigSig2 Certificate CommsSig Admission].each { |field| raw[field] = made[field] }
      raw.MyEnds.replace(made.MyEnds.to_a)
    end
  end

  ELSEWHERE = Xlreg::Ticket.new_owner("xlreg://a:1/?sig=#{'A' * 43}", 'web', size: 2)
  BAD = Xlreg::BadSignatureError
  WRONG = Xlreg::ProtocolError

  LIES = {
    'a_stranger' => [another { |raw, _| raw.Admission }, BAD, /"m1".*not admitted/],
    'one_who_admits_itself' => [another { |_, key| ELSEWHERE.admission(key).encode }, BAD, /"m1".*not admitted/],
    'no_admission' => [without('Admission'), BAD, /"m1".*not admitted/],
    'no_proofs' => [without('DigSig2', 'Certificate', 'CommsSig'), BAD, /"m1"/],
    'no_digsig2' => [without('DigSig2'), BAD, /"m1"/],
    'no_certificate' => [without('Certificate'), BAD, /"m1"/],
    'no_comms_sig' => [without('CommsSig'), BAD, /"m1"/],
    'another_cluster_key' => [of_all(seal: true) { |raw| raw.ClusterKey = 'k' * 32 }, BAD, /key/],
    'no_cluster_key' => [of_all(seal: true) { |raw| raw.ClusterKey = '' }, BAD, /key/],
    'another_sum' => [of_all { |raw| raw.Sum = 's' * 32 }, WRONG, /sum/i],
    'a_seat_that_the_cluster_has_not' => [of_all { |raw| raw.SeatSet = "\x07" }, WRONG, /seats/],
    'a_member_whose_seat_is_free' => [of_all { |raw| raw.SeatSet = '' }, WRONG, /seats/],
    'fewer_members_than_it_says' => [of_all { |raw| raw.Tokens.pop }, WRONG, /./],
    'more_members_than_it_says' => [of_all { |raw| raw.WhichSet = '' }, WRONG, /./],
    'no_seats' => [of_all(&:clear_SeatSet), WRONG, /SeatSet/],
    'no_set_of_members' => [of_all(&:clear_WhichSet), WRONG, /WhichSet/],
    'no_sum' => [of_all(&:clear_Sum), WRONG, /Sum/]
  }.freeze

  def lying(change = ->(_) {})
    FakeRegistry.run('2.0') { |fake| yield Liar.new(fake, change).ticket, fake }
  end

  def form(ticket)
    listener = TCPServer.new('127.0.0.1', 0)
    Xlreg.form(ticket, node: node(0, keys: Xlreg::TestHelper.keys(0, 'p256')), listeners: [listener], timeout: 10)
  ensure
    listener.close
  end

  LIES.each do |name, (change, kind, text)|
    define_method("test_#{name}") do
      lying(change) { |ticket| assert_match(text, assert_raises(kind) { form(ticket) }.message) }
      lying(change) do |ticket|
        assert_match(text, assert_raises(kind) { Xlreg.await(ticket.reader, size: 1, timeout: 10) }.message)
      end
    end
  end

  def test_the_truth
    lying do |ticket|
      assert_equal %w[m1], form(ticket).others.map(&:name)
      assert_predicate Xlreg.await(ticket.reader, timeout: 10), :pinned?
    end
  end

  # Within a session nothing that is past is shown again.
  def test_going_back
    revision = 7
    change = lambda do |message|
      message.raw.Revision = revision
      message.raw.Sum = Xlreg::Sum.of(message.part.roster)
    end
    lying(change) do |ticket|
      Xlreg::Client.open(ticket.reader) do |client|
        assert_equal 7, client.members.state.revision
        revision = 6
        assert_match(/revision 6/, assert_raises(WRONG) { client.members }.message)
      end
    end
  end
end
