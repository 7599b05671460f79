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

    # @param path [String]
    # @return [Hash] what the file says
    # @raise [NodeError] the file is damaged
    def self.load(path)
      kept = JSON.parse(File.read(path))
      kept.is_a?(Hash) ? kept : damaged(path)
    rescue JSON::ParserError
      damaged(path)
    end

    # @param path [String]
    # @return [SeatFile] what the node keeps of its seat
    # @raise [NodeError] the file is damaged
    def self.read(path)
      kept = load(path)
      run = [kept.fetch('run')].pack('H*')
      raise ArgumentError, 'a run that is none' unless run.bytesize.between?(1, Limits::MAX_RUN)

      lease = kept['leaseMillis'] && (Integer(kept['leaseMillis']) / 1000.0)
      new(run: run, lease: lease, labels: kept['labels']&.to_h { |key, value| [Name.check(key), String(value)] })
    rescue ArgumentError, KeyError, TypeError, NoMethodError, Error
      damaged(path)
    end

    # @api private
    def self.damaged(path) = raise(NodeError, "#{path} does not say how the node joined: remove the file")

    # @return [Hash] what a file says of it
    def to_json_hash
      { 'run' => run.unpack1('H*'), 'leaseMillis' => lease && (lease * 1000).round, 'labels' => labels }.compact
    end
  end

  # What a node keeps of its clusters at one registry. A file is named ID@PLACE.json: by the cluster's ID, and by what
  # is known of the cluster before it is joined by name. Older programs kept NAME.json, although several clusters can
  # have one name.
  # @api private
  class SeatFiles
    AT = '@' # no name has it
    PLACE_BYTES = 16
    SAVED = '.saved'
    private_constant :AT, :PLACE_BYTES, :SAVED

    # @param node [Node]
    # @param fingerprint [String] that of the registry's sig key
    def initialize(node, fingerprint)
      @folder = File.join(node.directory, 'seats')
      @saved_folder = File.join(node.directory, 'rosters')
      @registry = first_key(node, fingerprint)
    end

    # @param ref [ClusterRef]
    # @return [SeatFile] what the node keeps of its seat in a cluster
    # @raise [NodeError] the file is damaged
    def read(ref)
      path = ref.id ? find_by_id(ref.id.to_s) : find("*#{AT}#{place(ref)}.json").first || find("#{ref.name}.json").first
      path ? SeatFile.read(path) : SeatFile.new
    end

    # Keeps how the node has joined, in place of what was kept for the cluster.
    # @param cluster [Cluster]
    # @param seat [SeatFile]
    def write(cluster, seat)
      kept = { 'cluster' => cluster.id.to_s, 'name' => cluster.name, 'key' => cluster.key && Ed25519.text(cluster.key),
               'registry' => @registry }.compact.merge(seat.to_json_hash)
      path = File.join(@folder, "#{cluster.id}#{AT}#{place(cluster)}.json")
      AtomicFile.make_folder(@folder, 0o700)
      AtomicFile.write(path, "#{JSON.generate(kept)}\n", 0o600)
      FileUtils.rm_f(files_of(cluster) - [path])
    end

    # Forgets a seat that was given up.
    # @param cluster [Cluster]
    def forget(cluster) = FileUtils.rm_f(files_of(cluster) + saved_of(cluster))

    # @param ref [ClusterRef]
    # @return [String, nil] where the roster of a cluster is kept for a start without the registry
    def find_saved(ref)
      find(ref.id ? "#{ref.id}#{AT}*#{SAVED}" : "*#{AT}#{place(ref)}#{SAVED}", @saved_folder).first
    end

    # Keeps a roster in place of what was kept for the cluster.
    # @param cluster [Cluster]
    # @param saved [String]
    def save(cluster, saved)
      path = File.join(@saved_folder, "#{cluster.id}#{AT}#{place(cluster)}#{SAVED}")
      AtomicFile.make_folder(@saved_folder, 0o700)
      AtomicFile.remove_leftovers(path)
      AtomicFile.write(path, saved, 0o600)
      FileUtils.rm_f(saved_of(cluster) - [path])
    end

    private

    # Returns the sig key from which that of a registry has descended, as far as the node knows. It stays the same when
    # the registry gets its next key.
    def first_key(node, sig)
      before = node.registrations.select(&:next).to_h { |known| [known.next, known.sig] }
      before.size.times { sig = before.fetch(sig, sig) } # and not for ever, should they lead in a circle
      sig
    end

    # Returns what stands for all that is known of a cluster before it is joined by name.
    def place(cluster)
      key = cluster.key ? Ed25519.text(cluster.key) : ''
      OpenSSL::Digest::SHA256.digest([@registry, key, cluster.name].join("\n"))[0, PLACE_BYTES].unpack1('H*')
    end

    def find_by_id(id)
      named_so = find("#{id}#{AT}*.json").find { |path| SeatFile.load(path)['registry'] == @registry }
      named_so || find('*.json').find { |path| !File.basename(path).include?(AT) && cluster_in(path) == id }
    end

    # Returns the files of a cluster, and of those that had its place before.
    def files_of(cluster)
      former = find("#{cluster.name}.json").select { |path| [nil, cluster.id.to_s].include?(cluster_in(path)) }
      find("*#{AT}#{place(cluster)}.json") + former
    end

    # Returns the ID of the cluster in a file that is named by name; nil if it does not say. A damaged one may be any
    # cluster's.
    def cluster_in(path)
      SeatFile.load(path)['cluster']
    rescue NodeError
      nil
    end

    # Returns the files that match; what a crash has left of a write does not.
    def find(pattern, folder = @folder) = Dir.glob(pattern, base: folder).map { |name| File.join(folder, name) }

    def saved_of(cluster) = find("*#{AT}#{place(cluster)}#{SAVED}", @saved_folder)
  end
end
