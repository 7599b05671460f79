package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/xlattice/xlreg/internal/admin/api"
)

// clustersAsked is which clusters are wanted, and when.
type clustersAsked struct {
	Match  string `query:"match" maxLength:"128" doc:"part of the name, or the beginning of the ID"`
	State  string `query:"state" enum:"forming,full,reduced,empty"`
	Older  span   `query:"older" doc:"created at least this long ago"`
	Newer  span   `query:"newer" doc:"created at most this long ago"`
	Order  string `query:"order" enum:"newest,name" default:"newest"`
	Cursor string `query:"cursor" maxLength:"512" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Since  string `query:"since" maxLength:"128" doc:"wait until the revision of the registry is another than this one"`
	Wait   span   `query:"wait" doc:"how long to wait at most, such as 30s; 5m is the most there is"`
}

// ClusterPath is which cluster is wanted. huma wants types that are embedded exported.
type ClusterPath struct {
	ID string `path:"id" maxLength:"64" pattern:"^[0-9a-f]+$"`
}

type clusterShown struct {
	ClusterPath
	Since       string `query:"since" pattern:"^[0-9]{0,19}$" doc:"wait until the revision of the cluster is another than this one"`
	Wait        span   `query:"wait" doc:"how long to wait at most, such as 30s; 5m is the most there is"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"512" doc:"answer 304 if the cluster has this ETag still"`
}

type clusterAnswer struct {
	Status       int
	ETag         string `header:"ETag" doc:"of the epoch and the revision"`
	CacheControl string `header:"Cache-Control"`
	Body         *api.ClusterDetail
}

// ClusterCondition is which cluster is to be changed, on which condition.
type ClusterCondition struct {
	ClusterPath
	IfMatch string `header:"If-Match" pattern:"^([*]|\"[0-9]{1,19}[.][0-9]{1,19}\")?$" doc:"change it only if it has this ETag still"`
}

type memberEvicted struct {
	ClusterCondition
	Name string `path:"name" maxLength:"128" doc:"of the member in the cluster"`
	Ban  bool   `query:"ban" doc:"its key may not become a member again"`
}

type keyBanned struct {
	ClusterCondition
	Body struct {
		Key string `json:"key" pattern:"^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$" doc:"the fingerprint of a sig key, such as SHA256: and 43 characters of base64"`
	}
}

type done struct {
	ETag string `header:"ETag" doc:"of the cluster as it is now"`
	Body api.Done
}

func (s *Server) clusterOperations(a huma.API) {
	add(s, a, operation{
		id: "list-clusters", method: http.MethodGet, path: "/api/v1/clusters", tag: "clusters", right: read, lasts: ifWaits,
		summary: "A page of clusters, at once or after the next change",
	}, s.listClusters)
	add(s, a, operation{
		id: "get-cluster", method: http.MethodGet, path: "/api/v1/clusters/{id}", tag: "clusters", right: read, lasts: ifWaits,
		summary: "One cluster with its members, at once or after its next change",
		errors:  []int{http.StatusNotFound},
	}, s.getCluster)
	changes := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusNotImplemented}
	add(s, a, operation{
		id: "evict-member", method: http.MethodDelete, path: "/api/v1/clusters/{id}/members/{name}", tag: "clusters", right: change,
		summary: "Take a member's seat away", errors: changes,
	}, func(ctx context.Context, in *memberEvicted) (*done, error) {
		return s.evict(ctx, &in.ClusterCondition, api.Eviction{Member: in.Name, Ban: in.Ban})
	})
	add(s, a, operation{
		id: "ban-key", method: http.MethodPost, path: "/api/v1/clusters/{id}/bans", tag: "clusters", right: change,
		summary: "Keep a key out of a cluster, and evict who has it", errors: changes,
	}, func(ctx context.Context, in *keyBanned) (*done, error) {
		return s.evict(ctx, &in.ClusterCondition, api.Eviction{Key: in.Body.Key, Ban: true})
	})
	add(s, a, operation{
		id: "reopen-cluster", method: http.MethodPost, path: "/api/v1/clusters/{id}/reopen", tag: "clusters", right: change,
		summary: "Begin a new epoch, for which all members have to join again", errors: changes,
	}, func(ctx context.Context, in *ClusterCondition) (*done, error) {
		revision, err := revisionOf(in.IfMatch)
		if err != nil {
			return nil, err
		}
		return answered(s.changer(ctx).Reopen(ctx, in.ID, revision))
	})
	add(s, a, operation{
		id: "delete-cluster", method: http.MethodDelete, path: "/api/v1/clusters/{id}", tag: "clusters", right: change,
		summary: "Delete a cluster with all its members", errors: changes,
	}, func(ctx context.Context, in *ClusterCondition) (*done, error) {
		revision, err := revisionOf(in.IfMatch)
		if err != nil {
			return nil, err
		}
		return answered(s.changer(ctx).Delete(ctx, in.ID, revision))
	})
}

func (s *Server) listClusters(ctx context.Context, in *clustersAsked) (*replied[api.Page[api.Cluster]], error) {
	if in.Wait.Duration > 0 {
		during, cancel := untilStop(ctx)
		err := s.cfg.Steward.Wait(during, in.Since, min(in.Wait.Duration, maxWait))
		cancel()
		if err != nil {
			return nil, err
		}
	}
	page, err := s.cfg.Steward.Clusters(ctx, api.ClusterQuery{
		Match: in.Match, State: api.State(in.State), Older: in.Older.Duration, Newer: in.Newer.Duration,
		Order: api.Order(in.Order), Cursor: in.Cursor, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	page.Items = listed(page.Items)
	return &replied[api.Page[api.Cluster]]{page}, nil
}

func (s *Server) getCluster(ctx context.Context, in *clusterShown) (*clusterAnswer, error) {
	if in.Wait.Duration > 0 {
		if err := s.waitCluster(ctx, in); err != nil {
			return nil, err
		}
	}
	c, err := s.cfg.Steward.Cluster(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	c.Taken, c.Seats = listed(c.Taken), listed(c.Seats)
	answer := &clusterAnswer{Status: http.StatusOK, ETag: etag(c.Epoch, c.Revision), CacheControl: "private, no-cache", Body: &c}
	if matches(in.IfNoneMatch, answer.ETag) {
		answer.Status, answer.Body = http.StatusNotModified, nil
	}
	return answer, nil
}

func (s *Server) waitCluster(ctx context.Context, in *clusterShown) error {
	since, err := strconv.ParseUint(in.Since, 10, 64)
	if err != nil && in.Since != "" {
		return invalid("since %.80q: want the revision of the cluster", in.Since)
	}
	ctx, cancel := untilStop(ctx)
	defer cancel()
	return s.cfg.Steward.WaitCluster(ctx, in.ID, since, min(in.Wait.Duration, maxWait))
}

func (s *Server) evict(ctx context.Context, in *ClusterCondition, e api.Eviction) (*done, error) {
	var err error
	if e.Revision, err = revisionOf(in.IfMatch); err != nil {
		return nil, err
	}
	return answered(s.changer(ctx).Evict(ctx, in.ID, e))
}

// answered makes an answer of what came of a change.
func answered(d api.Done, err error) (*done, error) {
	if err != nil {
		return nil, err
	}
	answer := &done{Body: d}
	if d.Cluster != nil {
		d.Cluster.Taken = listed(d.Cluster.Taken)
		answer.ETag = etag(d.Cluster.Epoch, d.Cluster.Revision)
	}
	return answer, nil
}
