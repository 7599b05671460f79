# frozen_string_literal: true

require 'json'

module Xlreg
  # How a node joined a cluster by the command line, kept in its directory, as the Go program keeps it. A later join of
  # the same node, which only looks, asks for the same: so the program that runs as the member does not take it for
  # another one with its key.
  #
  # @!attribute [r] run
  #   @return [String, nil] names the start of the program
  # @!attribute [r] lease
  #   @return [Numeric, nil] seconds
  # @!attribute [r] labels
  #   @return [Hash{String => String}, nil]
  # @api private
  SeatFile = Struct.new(:run, :lease, :labels, keyword_init: true) do
    include Value

    # @param node [Node]
    # @param cluster [String] its name
    # @return [SeatFile] what the node keeps of its seat
    # @raise [NodeError] the file is damaged
    def self.read(node, cluster)
      path = path_of(node, cluster)
      kept = JSON.parse(File.read(path))
      run = [kept.fetch('run')].pack('H*')
      raise ArgumentError, 'a run that is none' unless run.bytesize.between?(1, Limits::MAX_RUN)

      lease = kept['leaseMillis'] && (Integer(kept['leaseMillis']) / 1000.0)
      new(run: run, lease: lease, labels: kept['labels']&.to_h { |key, value| [Name.check(key), String(value)] })
    rescue Errno::ENOENT
      new
    rescue JSON::ParserError, ArgumentError, KeyError, TypeError, NoMethodError, Error
      raise NodeError, "#{path} does not say how the node joined: remove the file"
    end

    # Forgets a seat that was given up.
    # @param node [Node]
    # @param cluster [String] its name
    def self.forget(node, cluster) = FileUtils.rm_f(path_of(node, cluster))

    # @api private
    def self.path_of(node, cluster) = File.join(node.directory, 'seats', "#{cluster}.json")

    # Keeps it.
    # @param node [Node]
    # @param cluster [String] its name
    def write(node, cluster)
      path = SeatFile.path_of(node, cluster)
      kept = { 'run' => run.unpack1('H*'), 'leaseMillis' => lease && (lease * 1000).round, 'labels' => labels }.compact
      AtomicFile.make_folder(File.dirname(path), 0o700)
      AtomicFile.write(path, "#{JSON.generate(kept)}\n", 0o600)
    end
  end
end
