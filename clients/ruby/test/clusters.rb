# frozen_string_literal: true

require_relative 'real'
require_relative 'hand'

# Whole clusters at a real registry, for tests that want one.
module Clusters
  include Real

  # Forms as one member, with a listener of its own.
  # @return [Array(Xlreg::Membership, TCPServer)]
  def form(registry, number, **more)
    listener = TCPServer.new('127.0.0.1', 0)
    options = { cluster: 'web', size: 3, listeners: [listener], timeout: PATIENCE }.merge(more)
    membership = Xlreg.form(registry.reg_cred, node: node(number), **options)
    [membership, listener]
  rescue StandardError
    listener.close
    raise
  end

  # Forms as one member whose time is up at the first roster that it hears.
  # @return [Xlreg::IncompleteError]
  def form_in_vain(registry, number, cluster: 'web', size: 2, **more)
    clock = Hand.new
    node = more.delete(:node) || node(number, endpoints: ['127.0.0.1:7001'])
    plan = Xlreg::Plan.new(options: Xlreg::Options.of(registry.reg_cred, node: node), size: size,
                           ref: Xlreg::ClusterRef.of(cluster), **more)
    formation = Xlreg::Formation.new(plan, ->(now) { clock.now += 2 * PATIENCE if now.roster })
    assert_raises(Xlreg::IncompleteError) { formation.run(clock.limit(PATIENCE)) }
  end

  # Forms a cluster of so many, yields a membership and a listener of each, and closes the listeners.
  def with_cluster(registry, size, **more)
    formed = Array.new(size) { |i| Thread.new { form(registry, i, size: size, **more) } }.map(&:value)
    yield(*formed)
  ensure
    formed&.each { |_, listener| listener.close }
  end
end
